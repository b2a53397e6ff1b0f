"""Peak memory: compress a sharded bfloat16 checkpoint of random weights in a child process, then inspect the result.

python -m benchmarks.memory [--gigabytes 4] [--bits 0.8] [--results FILE]
python -m benchmarks.memory --loading                        only models that are loaded packed

The bound is 1 GB plus four times the largest tensor for compressing, .3 s of CPU and 150 MB for `inspect`,
.15 s of CPU for `subbit --help`. For loading a model packed it is its file plus the two largest dense tensors, beyond
what the process took with a smaller model of the same layers loaded and used.
"""

from __future__ import annotations

import argparse
import json
import math
import os
import platform
import subprocess
import sys
import time
from collections.abc import Mapping
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np

from benchmarks.signed import SMOLLM2, dense_shapes, linear_shapes, write_llama
from subbit.signs import Angle, Hashed, SignPlane
from subbit.version import __version__
from subbit_formats.safetensors_writer import SafetensorsWriter

RESULTS = Path(__file__).parent / "results" / "memory.json"
MIB, GB = 1 << 20, 10**9
SHARD, LARGEST, COLUMNS = 512 * MIB, 128 * MIB, 8192


def write_checkpoint(folder: Path, total: int, shard: int = SHARD, largest: int = LARGEST) -> None:
    """Write shards of bfloat16 tensors, `total` bytes together, none of them larger than `largest`.

    A large tensor in each shard, the rest a quarter of that size; one shard's weights are in memory at a time.
    """
    count = -(-total // shard)
    weight_map = {}
    for number in range(count):
        name = f"model-{number + 1:05}-of-{count:05}.safetensors"
        shapes = _shapes(number, min(shard, total - number * shard), largest)
        random = np.random.default_rng(number)
        with SafetensorsWriter(folder / name, {key: ("bfloat16", shape) for key, shape in shapes.items()}) as writer:
            for key in writer.names:
                writer.write(_bfloat16(random.standard_normal(shapes[key], np.float32)))
        weight_map.update(dict.fromkeys(shapes, name))
    (folder / "model.safetensors.index.json").write_text(json.dumps({"weight_map": weight_map}))


def _shapes(number: int, size: int, largest: int) -> dict[str, tuple[int, int]]:
    shapes: dict[str, tuple[int, int]] = {}
    while size >= 2 * COLUMNS:
        nbytes = min(size, largest if not shapes else largest // 4)
        shapes[f"layers.{number}.{len(shapes)}.weight"] = (nbytes // (2 * COLUMNS), COLUMNS)
        size -= nbytes
    return shapes


def _bfloat16(values: np.ndarray) -> np.ndarray:
    """The upper halves of float32 numbers, as the 16-bit words that files hold."""
    return (values.view(np.uint32) >> 16).astype(np.uint16)


def child(*command: str) -> dict[str, float]:
    """Run Python on `command` and measure seconds, CPU seconds and peak bytes of that process alone."""
    start = time.perf_counter()
    process = subprocess.Popen([sys.executable, *command], stdout=subprocess.DEVNULL)
    _, status, usage = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        raise SystemExit(f"{' '.join(command)}: exit {process.returncode}")
    unit = 1 if sys.platform == "darwin" else 1024
    return {
        "seconds": time.perf_counter() - start,
        "cpu_seconds": usage.ru_utime + usage.ru_stime,
        "peak_bytes": usage.ru_maxrss * unit,
    }


LOADING = """
import json, sys
import torch
from pathlib import Path
from subbit.torch import load_model

def status(field):
    lines = Path("/proc/self/status").read_text().splitlines()
    return 1024 * next(int(line.split()[1]) for line in lines if line.startswith(field))

def load(path):
    model = load_model(path, packed=True)
    loaded = status("VmRSS")
    with torch.inference_mode():
        model(torch.zeros(1, 1, dtype=torch.long))
    return model, loaded

small = load(sys.argv[1])
Path("/proc/self/clear_refs").write_text("5")  # the peak starts anew from here
before = status("VmRSS")
model, loaded = load(sys.argv[2])
found = {"peak_bytes": status("VmHWM"), "loaded_bytes": loaded, "held_bytes": status("VmRSS")}
print(json.dumps({name: value - before for name, value in found.items()}))
"""
"""Python for a child of its own: memory that a model takes beyond another one that was loaded and used before it."""

WIDE = SMOLLM2 | {
    "hidden_size": 2048, "intermediate_size": 2048, "num_attention_heads": 16, "num_key_value_heads": 16,
    "num_hidden_layers": 16, "vocab_size": 64,
}  # fmt: skip


def load_packed(config: Mapping[str, Any], plane: SignPlane) -> dict[str, Any]:
    """Load a model in a child, after one of a single block; bytes beyond that one, and the bound."""
    with TemporaryDirectory() as name:
        paths = [Path(name) / f"{which}.sbit" for which in ("small", "whole")]
        write_llama(paths[0], {**config, "num_hidden_layers": 1, "vocab_size": 64}, plane)
        write_llama(paths[1], config, plane)
        command = [sys.executable, "-c", LOADING, *map(str, paths)]
        found: dict[str, Any] = json.loads(subprocess.run(command, check=True, stdout=subprocess.PIPE).stdout)
        size = paths[1].stat().st_size
    shapes = [*linear_shapes(config).values(), *dense_shapes(config).values()]
    bound = size + sum(sorted(2 * math.prod(shape) for shape in shapes)[-2:])
    return found | {"file_bytes": size, "bound_bytes": bound, "within": found["peak_bytes"] <= bound}


def loading() -> dict[str, Any]:
    """By model and signs."""
    configs = {"SmolLM2-135M": SMOLLM2, "16 blocks of 2048²": WIDE}
    return {
        f"{model}, {plane.kind}": load_packed(config, plane)
        for model, config in configs.items()
        for plane in (Angle(1), Hashed(1))
    }


def measure(gigabytes: float, bits: float) -> dict[str, Any]:
    """Write the checkpoint, compress it, inspect what came out, and ask for help."""
    size = int(gigabytes * GB)
    with TemporaryDirectory() as name:
        source, output = Path(name) / "checkpoint", Path(name) / "model.sbit"
        source.mkdir()
        # in a process of its own: a child's peak starts from that of its parent
        child("-c", f"import benchmarks.memory as m, pathlib as p; m.write_checkpoint(p.Path({str(source)!r}), {size})")
        cli = ("-m", "subbit_cli")
        compressed = child(*cli, "compress", str(source), "-o", str(output), "--bits", str(bits))
        inspected = child(*cli, "inspect", "bits-per-weight", str(output), "--json")
        helped = min((child(*cli, "--help") for _ in range(5)), key=lambda run: run["cpu_seconds"])
        source_bytes = sum(path.stat().st_size for path in source.iterdir())
        file_bytes = output.stat().st_size
    bound = GB + 4 * min(LARGEST, size)
    return {
        "version": __version__, "machine": f"{platform.machine()}, {os.cpu_count()} CPUs", "bits": bits,
        "source_bytes": source_bytes, "largest_tensor_bytes": min(LARGEST, size), "file_bytes": file_bytes,
        "compress": compressed | {"bound_bytes": bound, "within": compressed["peak_bytes"] <= bound},
        "inspect": inspected | {"within": inspected["cpu_seconds"] <= 0.3 and inspected["peak_bytes"] <= 150e6},
        "help": helped | {"within": helped["cpu_seconds"] <= 0.15},
    }  # fmt: skip


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.memory", description=__doc__.splitlines()[0])
    parser.add_argument("--gigabytes", type=float, default=4.0, help="size of the checkpoint (4)")
    parser.add_argument("--bits", type=float, default=0.8, help="bits a weight (0.8)")
    parser.add_argument("--loading", action="store_true", help="only measure models that are loaded packed")
    parser.add_argument("--results", type=Path, default=RESULTS, help="where the JSON goes")
    options = parser.parse_args()
    if options.loading:
        found = json.loads(options.results.read_text()) if options.results.exists() else {}
    else:
        found = measure(options.gigabytes, options.bits)
    found["loading"] = loading()
    options.results.parent.mkdir(parents=True, exist_ok=True)
    options.results.write_text(json.dumps(found, indent=1) + "\n")
    for name, run in found["loading"].items():
        sizes = (f"{what} {run[f'{what}_bytes'] / 1e6:.1f} MB" for what in ("file", "held", "peak", "bound"))
        print(f"loading {name}: {', '.join(sizes)}")
    for verb in [] if options.loading else ["compress", "inspect", "help"]:
        run = found[verb]
        print(
            f"{verb:9} {run['seconds']:8.2f} s  {run['cpu_seconds']:8.2f} s CPU  {run['peak_bytes'] / 1e6:8.1f} MB peak"
            f"  {'within' if run['within'] else 'OVER'} the bound"
        )


if __name__ == "__main__":
    main()
