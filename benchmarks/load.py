"""From a file to the first product of every layer, beside safetensors files, in one process and by turns.

python -m benchmarks.load [--case CASE] [--threads 1] [--turns 15]    measure, print, write results/load.json
python -m benchmarks.load --docs                                 put its table into docs/

Ours: open the file, compare all checksums, make a `SubbitLinear` of every matrix, multiply each by one row. The others,
with a bfloat16 file of as many weights: map it and add up all bytes (which is all that is measured of this one);
map it and multiply; copy it into the layers of a torch model and multiply. Files are in the page cache, or, "from
disk", were taken out of it before each time, which only the clock on the wall sees. Kernels are compiled, and the
fastest way of multiplying is known: a turn that does not count sees to that.
"""

from __future__ import annotations

import os
import statistics
import time
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from benchmarks.decode import gaussian
from benchmarks.shapes import run_cases
from benchmarks.signed import SMOLLM2, linear_shapes, write_file
from subbit.signs import Angle, Hashed

Shapes = Mapping[str, tuple[int, int]]
Subject = tuple[Path, Callable[[], Any]]
PLANES = {"template (angle) × vector 16 × 256": Angle(seed=1), "template (hashed) × vector 16 × 256": Hashed(seed=1)}
OTHERS = TOUCHED, MAPPED, COPIED = (
    "safetensors, all pages touched", "safetensors, first products", "torch model, first products",
)  # fmt: skip


def measure(shapes: Shapes, turns: int, threads: int) -> list[dict[str, Any]]:
    """A row a subject: milliseconds, and how many times as fast as each of the others it was."""
    import torch

    os.environ["SUBBIT_THREADS"] = str(threads)
    torch.set_num_threads(threads)
    clock = time.thread_time if threads == 1 else time.perf_counter
    with TemporaryDirectory() as folder, torch.inference_mode():
        subjects = _subjects(shapes, Path(folder))
        warm = _by_turns(subjects, turns, clock)
        cold = _by_turns(subjects, turns, time.perf_counter, _forget)
    return [
        {"name": name, "milliseconds": _milliseconds(warm, name), "times": _times(warm, name)}
        | {"from_disk_milliseconds": _milliseconds(cold, name), "from_disk_times": _times(cold, name)}
        for name in subjects
    ]


def _by_turns(
    subjects: Mapping[str, Subject],
    turns: int,
    clock: Callable[[], float],
    before: Callable[[Path], object] = bool,
) -> dict[str, list[float]]:
    """Seconds of every turn but the first."""
    times: dict[str, list[float]] = {name: [] for name in subjects}
    for turn in range(turns + 1):
        for name, (path, run) in subjects.items():
            before(path)
            start = clock()
            kept = run()
            if turn:
                times[name].append(clock() - start)
            del kept  # outside of what is measured
    return times


def _milliseconds(times: Mapping[str, list[float]], name: str) -> float:
    return 1e3 * statistics.median(times[name])


def _times(times: Mapping[str, list[float]], name: str) -> dict[str, float]:
    """How many times as fast as each of the others, a median over the turns."""
    return {
        other: statistics.median(slow / fast for slow, fast in zip(times[other], times[name], strict=True))
        for other in OTHERS
    }


def _forget(path: Path) -> None:
    """Take a file out of the page cache."""
    with path.open("rb") as file:
        os.fsync(file.fileno())
        os.posix_fadvise(file.fileno(), 0, 0, os.POSIX_FADV_DONTNEED)


def _subjects(shapes: Shapes, folder: Path) -> dict[str, Subject]:
    """The files, and what loads them and returns what it loaded."""
    import torch
    from safetensors import safe_open
    from safetensors.torch import save_file

    from subbit.model import open_file
    from subbit.torch import SubbitLinear

    dense = folder / "model.safetensors"
    weights = {shape: torch.from_numpy(gaussian(*shape)).bfloat16() for shape in set(shapes.values())}
    save_file({name: weights[shape].clone() for name, shape in shapes.items()}, dense)
    rows = {columns: torch.randn(1, columns).bfloat16() for _, columns in shapes.values()}

    def mapped() -> dict[str, torch.Tensor]:
        with safe_open(dense, "pt") as file:
            return {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118

    def touched() -> Any:
        tensors = mapped()
        return tensors, [tensor.view(torch.int64).sum() for tensor in tensors.values()]

    def multiplied() -> Any:
        tensors = mapped()
        return tensors, [torch.nn.functional.linear(rows[each.shape[1]], each) for each in tensors.values()]

    def copied() -> Any:
        tensors = mapped()
        layers = [torch.nn.Linear(*each.shape[::-1], bias=False, device="meta") for each in tensors.values()]
        for layer, each in zip(layers, tensors.values(), strict=True):
            layer.to_empty(device="cpu").bfloat16().weight.copy_(each)
        return layers, [layer(rows[layer.in_features]) for layer in layers]

    def packed(path: Path) -> Any:
        with open_file(path) as file:
            layers = [SubbitLinear(file[name].packed()) for name in file]
        return layers, [layer(rows[layer.in_features]) for layer in layers]

    found: dict[str, Subject] = {TOUCHED: (dense, touched), MAPPED: (dense, multiplied), COPIED: (dense, copied)}
    for name, plane in PLANES.items():
        path = folder / f"{plane.kind}.sbit"
        write_file(path, shapes, plane)
        found[name] = path, partial(packed, path)
    return found


CASES = {
    "SmolLM2-135M, 210 matrices": partial(measure, linear_shapes(SMOLLM2)),
    "4096 × 4096, 8 matrices": partial(measure, {f"layers.{k}.weight": (4096, 4096) for k in range(8)}),
}


def table(results: dict[str, Any]) -> str:
    """A row a case and plane, a column what it is compared with: how many times as fast."""
    lines = ["| | | " + " | ".join([*OTHERS, f"from disk: {MAPPED}"]) + " |", "|---|---|" + "---:|" * (len(OTHERS) + 1)]
    for key, run in results["runs"].items():
        for row in run["rows"]:
            if row["name"] in PLANES:
                cells = [*(row["times"][other] for other in OTHERS), row["from_disk_times"][MAPPED]]
                lines.append(f"| {key} | {row['name']} | " + " | ".join(f"{cell:.2f}" for cell in cells) + " |")
    return "\n".join(lines)


def main(arguments: Sequence[str] | None = None) -> None:
    run_cases("load", "Loading packed beside dense weights.", CASES, table, arguments)


if __name__ == "__main__":
    main()
