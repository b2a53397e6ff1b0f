"""Encoding one Gaussian matrix, ours and peers' quantizers by turns in one process.

python -m benchmarks.encode [--case "1024 × 1024"] [--turns 5] [--threads 2]   measure, print, write results/encode.json
python -m benchmarks.encode --docs                                            put its table into docs/

From float32 in memory to sections or blocks in memory, all side information and training of codebooks included; no file
is written. Figures are medians over the turns: by the thread's own clock with one thread. With more, ours are timed by
the wall's, and each beside itself with one thread.
"""

from __future__ import annotations

import os
import statistics
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np

from benchmarks.decode import gaussian, under_signs
from benchmarks.peers import hqq, llama_cpp
from benchmarks.peers.base import UnavailableError
from benchmarks.shapes import run_cases
from subbit import DeadZone, Signed, Trellis, Uniform, Vector
from subbit.signs import Angle

YARDSTICK = "llama.cpp IQ1_S"
_SIZES = (4096, 1024)
_CORNER = 256
_PLANE = Angle(seed=1)
_OURS = {
    "template × vector 16 × 256": Signed(_PLANE, Vector(16, 256)),
    "trellis, 0.5": Trellis(0.5),
    "trellis, 0.5, one rate": Trellis(0.5, variable=False),
    "trellis, 1": Trellis(1.0),
    "trellis, 1, one rate": Trellis(1.0, variable=False),
    "deadzone, 0.5": DeadZone(0.5),
    "uniform, 2 bits": Uniform(width=2),
}


@dataclass(frozen=True)
class Subject:
    """Something that encodes a matrix, and says how many bytes that took."""

    name: str
    ours: bool
    run: Callable[[np.ndarray], int]


def subjects() -> Iterator[Subject]:
    """The yardstick first, then our codecs, then other peers; all importances are one."""
    for kind in ("IQ1_S", "Q1_0"):
        yield Subject(f"llama.cpp {kind}", False, partial(_by_llama, kind))
    for name, codec in _OURS.items():
        yield Subject(name, True, partial(_by_ours, codec))
    yield Subject("hqq, 1 bit", False, _by_hqq)


def _by_ours(codec: Any, matrix: np.ndarray) -> int:
    encoded = codec.encode(matrix)
    return sum(len(memoryview(section).cast("B")) for section in encoded.sections.values())


def _by_llama(kind: str, matrix: np.ndarray) -> int:
    return llama_cpp.encode(matrix, kind).size


def _by_hqq(matrix: np.ndarray) -> int:
    hqq.version()
    import torch

    torch.set_num_threads(1)
    return hqq.encode(matrix, 64).size


def measure(found: Sequence[Subject], matrix: np.ndarray, turns: int, threads: int) -> list[dict[str, Any]]:
    """Time all by turns; the first, on a corner, compiles and builds tables, and does not count."""
    signed = under_signs(matrix, _PLANE)
    corner, signed_corner = (np.ascontiguousarray(part[:_CORNER, :_CORNER]) for part in (matrix, signed))
    kept = [subject for subject in found if subject.ours or (threads == 1 and _runs(subject, corner))]
    times: dict[str, list[tuple[float, float]]] = {subject.name: [] for subject in kept}
    sizes: dict[str, int] = {}
    for turn in range(turns + 1):
        for subject in kept:
            given = (matrix, signed) if turn else (corner, signed_corner)
            target = given["template" in subject.name]
            seconds = [_seconds(subject, target, count, threads, sizes) for count in sorted({1, threads})]
            if turn:
                times[subject.name].append((seconds[0], seconds[-1]))
    yardstick = times.get(YARDSTICK)
    return [
        {
            "name": name,
            "bits": 8 * sizes[name] / matrix.size,
            "weights_a_second": matrix.size / statistics.median(last for _, last in taken),
            **_ratios(taken, yardstick, threads),
        }
        for name, taken in times.items()
    ]


def _runs(subject: Subject, corner: np.ndarray) -> bool:
    try:
        subject.run(corner)
    except UnavailableError as reason:
        print(f"  {subject.name}: {reason}", file=sys.stderr)
        return False
    return True


def _seconds(subject: Subject, matrix: np.ndarray, count: int, threads: int, sizes: dict[str, int]) -> float:
    os.environ["SUBBIT_THREADS"] = str(count)
    clock = time.thread_time if threads == 1 else time.perf_counter
    start = clock()
    sizes[subject.name] = subject.run(matrix)
    return clock() - start


def _ratios(
    taken: list[tuple[float, float]], yardstick: list[tuple[float, float]] | None, threads: int
) -> dict[str, float]:
    """How many times as fast as the yardstick, or as itself with one thread."""
    if threads > 1:
        return {"one_thread": statistics.median(one / more for one, more in taken)}
    if yardstick is None:
        return {}
    return {"yardsticks": statistics.median(own / mine for (own, _), (mine, _) in zip(yardstick, taken, strict=True))}


def table(results: dict[str, Any]) -> str:
    """A row an encoder: bits, and for each run millions of weights a second and the ratio that it measured."""
    runs = results["runs"]
    heads = [f"{key}, {what}" for key, run in runs.items() for what in ("10⁶ weights/s", _ratio_head(run))]
    lines = ["| | bits | " + " | ".join(heads) + " |", "|---|---:|" + "---:|" * len(heads)]
    for name in dict.fromkeys(row["name"] for run in runs.values() for row in run["rows"]):
        rows = [{row["name"]: row for row in run["rows"]}.get(name) for run in runs.values()]
        bits = next(row["bits"] for row in rows if row)
        lines.append(f"| {name} | {bits:.3f} | " + " | ".join(cell for row in rows for cell in _cells(row)) + " |")
    return "\n".join(lines)


def _ratio_head(run: dict[str, Any]) -> str:
    return "÷ one thread" if any("one_thread" in row for row in run["rows"]) else f"÷ {YARDSTICK}"


def _cells(row: dict[str, Any] | None) -> list[str]:
    if row is None:
        return ["", ""]
    ratio = row.get("one_thread", row.get("yardsticks"))
    return [f"{row['weights_a_second'] / 1e6:.2f}", "" if ratio is None else f"{ratio:.2f}"]


def _measured(size: int, turns: int, threads: int) -> list[dict[str, Any]]:
    return measure(list(subjects()), gaussian(size, size), turns, threads)


def main(arguments: Sequence[str] | None = None) -> None:
    cases = {f"{size} × {size}": partial(_measured, size) for size in _SIZES}
    run_cases("encode", "Encoding beside llama.cpp's quantizers.", cases, table, arguments)


if __name__ == "__main__":
    main()
