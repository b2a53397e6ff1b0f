"""What limits decoding: memory or instructions, the size of a matrix, the number of threads.

python -m benchmarks.decode_limits [--case roofline|growth|threads] [--turns 15]    measure, print, write its results
python -m benchmarks.decode_limits --docs                                          put its tables into docs/

`roofline`: the time of writing ones to as many bytes (`ndarray.fill`), which no decoder can go below, and of decoding
all rows into the memory of one, which stays in the cache and shows what the instructions take. A turn takes the three
one after the other, by the thread's clock; cycles are those of the clock that a chain of additions shows. `growth`:
float16, the same. `threads`: by the wall's clock, one thread and two by turns; nothing else may run then.
"""

from __future__ import annotations

import os
import statistics
import time
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import numba
import numpy as np
from numpy.lib.stride_tricks import as_strided

from benchmarks.decode import TYPES, encoded_subjects, touched
from benchmarks.shapes import SHAPES, run_cases
from subbit.codecs.blocks import Filler

_ANGLE, _TRELLIS, _DEADZONE = "template (angle) × vector 16 × 256", "trellis, 0.5", "deadzone, 0.5"
_NAMES = (
    _ANGLE, "template (angle) × vector 17 × 256", "stored signs × vector 16 × 256", _TRELLIS, "trellis, 1", _DEADZONE
)  # fmt: skip
_SIDES = {1024: (_ANGLE, _TRELLIS, _DEADZONE), 4096: (_ANGLE, _TRELLIS, _DEADZONE), 16384: (_ANGLE,)}
_CHAIN = 1 << 22


def roofline(turns: int, threads: int) -> list[dict[str, Any]]:
    """Bytes a weight, and the times of stores alone, of decoding in the cache, and of decoding."""
    os.environ["SUBBIT_THREADS"] = str(threads)
    rows, cols = SHAPES[0]
    gigahertz, found = _gigahertz(), []
    for name, codec, encoded in encoded_subjects(rows, cols, _NAMES):
        for kind in ("f32", "f16"):
            out = touched(rows, cols, TYPES[kind])
            steps = (
                lambda out=out: out.view(np.uint8).fill(1),
                _in_cache(codec.filler(encoded), out),
                lambda codec=codec, encoded=encoded, out=out: codec.decode(encoded, out),
            )
            stores, cached, whole = (1e9 * taken / out.size for taken in _medians(steps, turns, time.thread_time))
            found.append(
                {
                    "name": name,
                    "type": kind,
                    "bytes_read": encoded.bits_per_weight / 8,
                    "bytes_written": out.itemsize,
                    "stores": stores,
                    "in_cache": cached,
                    "cycles_in_cache": cached * gigahertz,
                    "nanoseconds_a_weight": whole,
                }
            )
    return found


def growth(turns: int, threads: int) -> list[dict[str, Any]]:
    """Nanoseconds a weight of square matrices, and copies of the same bytes beside them."""
    os.environ["SUBBIT_THREADS"] = str(threads)
    found = []
    for side, names in _SIDES.items():
        out, source = touched(side, side, TYPES["f16"]), touched(side, side, TYPES["f16"])
        for name, codec, encoded in encoded_subjects(side, side, names):
            steps = (
                lambda codec=codec, encoded=encoded, out=out: codec.decode(encoded, out),
                lambda out=out, source=source: np.copyto(out, source),
            )
            own, copy = (1e9 * taken / out.size for taken in _medians(steps, turns, time.thread_time))
            found.append({"name": name, "side": side, "nanoseconds_a_weight": own, "copies": copy / own})
    return found


def two_threads(turns: int, threads: int) -> list[dict[str, Any]]:
    """How many times as fast two threads are, whatever `threads` says."""
    found = []
    for rows, cols in SHAPES:
        out = touched(rows, cols, TYPES["f16"])
        for name, codec, encoded in encoded_subjects(rows, cols, (_ANGLE, _TRELLIS, _DEADZONE)):

            def decode(count: int, codec: Any = codec, encoded: Any = encoded, out: np.ndarray = out) -> None:
                os.environ["SUBBIT_THREADS"] = str(count)
                codec.decode(encoded, out)

            one, two = _medians((lambda: decode(1), lambda: decode(2)), turns, time.perf_counter)
            found.append({"name": name, "shape": f"{rows} × {cols}", "times": one / two})
    return found


def _in_cache(filler: Filler, out: np.ndarray) -> Callable[[], None]:
    """All rows, each written to the memory of the first."""
    one = as_strided(out, strides=(0, out.strides[1]), writeable=True)

    def run() -> None:
        for start in range(0, len(out), filler.rows):
            stop = min(start + filler.rows, len(out))
            filler.fill(start, stop, one[start:stop])

    return run


def _medians(steps: Sequence[Callable[[], Any]], turns: int, clock: Callable[[], float]) -> Iterator[float]:
    """Of the seconds of each step; the first turn, which compiles, does not count."""
    times: list[list[float]] = [[] for _ in steps]
    for turn in range(turns + 1):
        for step, taken in zip(steps, times, strict=True):
            start = clock()
            step()
            if turn:
                taken.append(clock() - start)
    return map(statistics.median, times)


def _gigahertz() -> float:
    """From additions and exclusive ors that wait for each other: two cycles a turn on any processor of today."""
    chain = numba.njit(numba.uint64(numba.uint64))(_chain)
    return 2 * _CHAIN / 1e9 / min(_medians([lambda: chain(1)] * 5, 3, time.thread_time))


def _chain(x: int) -> int:
    for i in range(_CHAIN):
        x = (x + np.uint64(3)) ^ np.uint64(i)
    return x


def table(results: dict[str, Any]) -> str:
    """The tables of all cases that were measured."""
    tables = {"roofline": _roofline_table, "growth": _growth_table, "threads": _threads_table}
    return "\n\n".join("\n".join(tables[case](run["rows"])) for case, run in results["runs"].items() if case in tables)


def _roofline_table(rows: list[dict[str, Any]]) -> list[str]:
    lines = [
        "| | bytes read + written | stores alone, ns a weight | in the cache | cycles | decoded | of its limit |",
        "|---|---:|---:|---:|---:|---:|---:|",
    ]
    for row in rows:
        limit = max(row["stores"], row["in_cache"])
        what = "stores" if limit == row["stores"] else "instructions"
        lines.append(
            f"| {row['name']}, {row['type']} | {row['bytes_read']:.3f} + {row['bytes_written']} | {row['stores']:.3f} "
            f"| {row['in_cache']:.3f} | {row['cycles_in_cache']:.2f} | {row['nanoseconds_a_weight']:.3f} "
            f"| {limit / row['nanoseconds_a_weight']:.0%} ({what}) |"
        )
    return lines


def _growth_table(rows: list[dict[str, Any]]) -> list[str]:
    sides, names = (list(dict.fromkeys(row[key] for row in rows)) for key in ("side", "name"))
    found = {(row["name"], row["side"]): row for row in rows}
    lines = ["| f16, ns a weight (copies) | " + " | ".join(f"{side}²" for side in sides) + " |"]
    lines.append("|---|" + "---:|" * len(sides))
    for name in names:
        cells = [found.get((name, side)) for side in sides]
        shown = [f"{cell['nanoseconds_a_weight']:.3f} ({cell['copies']:.2f})" if cell else "" for cell in cells]
        lines.append(f"| {name} | " + " | ".join(shown) + " |")
    return lines


def _threads_table(rows: list[dict[str, Any]]) -> list[str]:
    shapes, names = (list(dict.fromkeys(row[key] for row in rows)) for key in ("shape", "name"))
    found = {(row["name"], row["shape"]): row["times"] for row in rows}
    lines = ["| two threads ÷ one, f16 | " + " | ".join(shapes) + " |", "|---|" + "---:|" * len(shapes)]
    return lines + [f"| {name} | " + " | ".join(f"{found[name, s]:.2f}" for s in shapes) + " |" for name in names]


def main(arguments: Sequence[str] | None = None) -> None:
    cases = {"roofline": roofline, "growth": growth, "threads": two_threads}
    run_cases("decode_limits", "What limits decoding.", cases, table, arguments)


if __name__ == "__main__":
    main()
