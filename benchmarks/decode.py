"""Decoding into memory that is used again, beside copies of what it writes, in one process and by turns.

python -m benchmarks.decode [--rows N --cols N] [--threads 1] [--turns 15]    measure, print, write results/decode.json
python -m benchmarks.decode --docs                                           put its table into docs/

Weights are Gaussian; files, checksums and page faults are no part of it. A turn runs every decoder once, each followed
by `np.copyto` of as many bytes; figures are medians over the turns of copy's time ÷ decoder's, by the thread's own
clock where there is one thread, else by the wall's.
"""

from __future__ import annotations

import os
import statistics
import sys
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import ml_dtypes
import numpy as np

from benchmarks.peers import llama_cpp
from benchmarks.peers.base import UnavailableError
from benchmarks.shapes import run
from subbit import DeadZone, Signed, Trellis, Uniform, Vector
from subbit.bits.packing import unpack_signs
from subbit.records import Encoded
from subbit.signs import Angle, Hashed, SignPlane, Stored, signs

_LINE = 64
_OURS = {
    "template (angle) × vector 16 × 256": lambda: Signed(Angle(seed=1), Vector(16, 256)),
    "template (hashed) × vector 16 × 256": lambda: Signed(Hashed(seed=1), Vector(16, 256)),
    "template (angle) × vector 17 × 256": lambda: Signed(Angle(seed=1), Vector(17, 256)),
    "stored signs × vector 16 × 256": lambda: Signed(Stored(), Vector(16, 256)),
    "trellis, 0.5": lambda: Trellis(0.5, variable=False),
    "trellis, 1": lambda: Trellis(1.0, variable=False),
    "trellis, 0.5, groups of 4": lambda: Trellis(0.5, variable=False, group=4),
    "trellis, 1, groups of 4": lambda: Trellis(1.0, variable=False, group=4),
    "deadzone, 0.5": lambda: DeadZone(0.5),
    "deadzone, 1": lambda: DeadZone(1.0),
    "uniform, 4 bits": lambda: Uniform(width=4),
}
TYPES = {"f32": np.dtype(np.float32), "f16": np.dtype(np.float16), "bf16": np.dtype(ml_dtypes.bfloat16)}


@dataclass(frozen=True)
class Subject:
    """Something that writes a matrix of one type: `run(out)`."""

    name: str
    kind: str
    bits: float | None
    run: Callable[[np.ndarray], Any]


def subjects(rows: int, cols: int) -> Iterator[Subject]:
    """Our codecs in three types of numbers, then the peers in what they have."""
    for name, codec, encoded in encoded_subjects(rows, cols, _OURS):
        for kind in TYPES:
            yield Subject(name, kind, encoded.bits_per_weight, _decoder(codec, encoded))
    yield from _peers(gaussian(rows, cols))


def encoded_subjects(rows: int, cols: int, names: Iterable[str]) -> Iterator[tuple[str, Any, Encoded]]:
    """Names, codecs and a Gaussian matrix as they code it, under the signs of their template where they have one."""
    matrix = gaussian(rows, cols)
    for name in names:
        codec: Any = _OURS[name]()
        plane = getattr(codec, "signs", None)
        given = matrix if plane is None or isinstance(plane, Stored) else under_signs(matrix, plane)
        encoded = codec.encode(given)
        print(f"  encoded {name}: {encoded.bits_per_weight:.4f} bits", file=sys.stderr, flush=True)
        yield name, codec, encoded


def gaussian(rows: int, cols: int) -> np.ndarray:
    return np.random.default_rng(0).standard_normal((rows, cols), np.float32)


def under_signs(matrix: np.ndarray, plane: SignPlane) -> np.ndarray:
    """The magnitudes under the signs of a template."""
    negative = unpack_signs(signs(plane, b"", *matrix.shape), matrix.shape[1])
    return np.where(negative, -np.abs(matrix), np.abs(matrix))


def _decoder(codec: Any, encoded: Encoded) -> Callable[[np.ndarray], Any]:
    return lambda out: codec.decode(encoded, out)


def _peers(matrix: np.ndarray) -> Iterator[Subject]:
    """Look-ups without signs, safetensors with its pages touched, and llama.cpp's own C."""
    import torch
    from safetensors.numpy import load_file, save_file

    random = np.random.default_rng(1)
    table = random.standard_normal((256, 16), np.float32)
    codes = random.integers(0, 256, matrix.size // 16)
    yield Subject("np.take, no signs", "f32", None, lambda out: np.take(table, codes, 0, out.reshape(-1, 16), "clip"))
    pieces, places = torch.from_numpy(table), torch.from_numpy(codes)

    def select(out: np.ndarray) -> None:
        torch.index_select(pieces, 0, places, out=torch.from_numpy(out).view(-1, 16))

    yield Subject("torch.index_select, no signs", "f32", None, select)
    folder = TemporaryDirectory()
    path = Path(folder.name) / "model.safetensors"
    save_file({"weight": matrix.astype(np.float16)}, path)

    def load(out: np.ndarray) -> None:
        np.copyto(out, load_file(path)["weight"])
        assert folder is not None

    yield Subject("safetensors load and copy", "f16", 16, load)
    for kind in ("IQ1_S", "Q1_0"):
        try:
            stored = llama_cpp.encode(matrix, kind)
        except UnavailableError as reason:
            print(f"  {kind}: {reason}", file=sys.stderr)
            continue
        yield Subject(f"llama.cpp {kind}", "f32", 8 * stored.size / matrix.size, stored.decode)


def measure(found: Sequence[Subject], rows: int, cols: int, turns: int, threads: int) -> list[dict[str, Any]]:
    """Time all by turns; the first, which compiles, does not count."""
    os.environ["SUBBIT_THREADS"] = str(threads)
    clock = time.thread_time if threads == 1 else time.perf_counter
    targets = {kind: touched(rows, cols, dtype) for kind, dtype in TYPES.items()}
    sources, copies = ({kind: target.copy() for kind, target in targets.items()} for _ in range(2))
    times: list[list[tuple[float, float]]] = [[] for _ in found]
    for turn in range(turns + 1):
        for subject, taken in zip(found, times, strict=True):
            start = clock()
            subject.run(targets[subject.kind])
            middle = clock()
            np.copyto(copies[subject.kind], sources[subject.kind])
            if turn:
                taken.append((middle - start, clock() - middle))
    return [
        {
            "name": subject.name,
            "type": subject.kind,
            "bits": subject.bits,
            "nanoseconds_a_weight": 1e9 * statistics.median(own for own, _ in taken) / (rows * cols),
            "copies": statistics.median(copy / own for own, copy in taken),
        }
        for subject, taken in zip(found, times, strict=True)
    ]


def touched(rows: int, cols: int, dtype: np.dtype) -> np.ndarray:
    """Memory that starts at a line of the cache, as torch's does, with numbers in it."""
    memory = np.ones(rows * cols * dtype.itemsize + _LINE, np.uint8)
    first = -memory.ctypes.data % _LINE
    return memory[first : first + rows * cols * dtype.itemsize].view(dtype).reshape(rows, cols)


def table(results: dict[str, Any]) -> str:
    """A row a decoder, a column a shape and type: how many times as fast as a copy."""
    runs = results["runs"]
    heads = [f"{key}, {kind}" for key in runs for kind in TYPES]
    lines = ["| | bits | " + " | ".join(heads) + " |", "|---|---:|" + "---:|" * len(heads)]
    names = dict.fromkeys(row["name"] for run in runs.values() for row in run["rows"])
    for name in names:
        rows = {(key, row["type"]): row for key, run in runs.items() for row in run["rows"] if row["name"] == name}
        bits = next(iter(rows.values()))["bits"]
        cells = [f"{rows[key, kind]['copies']:.2f}" if (key, kind) in rows else "" for key in runs for kind in TYPES]
        lines.append(f"| {name} | {'' if bits is None else f'{bits:.3f}'} | " + " | ".join(cells) + " |")
    return "\n".join(lines)


def _measured(rows: int, cols: int, turns: int, threads: int) -> list[dict[str, Any]]:
    return measure(list(subjects(rows, cols)), rows, cols, turns, threads)


def main(arguments: Sequence[str] | None = None) -> None:
    run("decode", "Decoding beside copies.", _measured, table, arguments)


if __name__ == "__main__":
    main()
