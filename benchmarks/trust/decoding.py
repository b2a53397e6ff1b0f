"""Decode hostile tensors, or encode and decode good ones, where a step past an array ends the process.

    python -m benchmarks.trust.decoding hostile|good PLACE FIRST STOP PROGRESS

PLACE is "end" or "start" of guarded pages, or "checked" for kernels that check their indices (with NUMBA_BOUNDSCHECK=1
and PYTHONMALLOC=debug). PROGRESS is a file for the number that is under way. Prints what happened as JSON.
"""

from __future__ import annotations

import json
import os
import sys
import traceback
import warnings
from contextlib import AbstractContextManager, nullcontext, suppress
from dataclasses import replace
from pathlib import Path
from typing import Any
from unittest.mock import patch

import numpy as np

from benchmarks.trust.guard import Guard
from benchmarks.trust.hostile import hostile
from benchmarks.trust.specimens import CODECS, SHAPES, weights
from subbit.errors import SubbitError, UsageError
from subbit.packed import pack
from subbit.records import Encoded, matrix_shape
from subbit.tensors import decode
from subbit_formats.dtypes import numpy_dtype

_OUTPUTS = ("float32", "float16", "bfloat16", "float64")
_ROWS = (1, 3, 4, 8, 16, 17)


def main() -> None:
    """Run the numbers FIRST … STOP - 1."""
    what, place, first, stop, progress = sys.argv[1:]
    warnings.simplefilter("error", RuntimeWarning)
    guard = None if place == "checked" else Guard(place)
    if place == "checked":
        _mark_scratch()
    run = {"hostile": _hostile, "good": _good}[what]
    found: dict[str, Any] = {"accepted": 0, "refused": 0, "failures": []}
    with Path(progress).open("wb", buffering=0) as file, patch("subbit.codecs.blocks._STREAMED", 0):
        for number in range(int(first), int(stop)):
            file.seek(0)
            file.write(b"%-20d" % number)
            try:
                found["accepted" if run(guard, number) else "refused"] += 1
            except Exception as error:
                found["failures"].append(f"{what} {place} {number} {number + 1}: {_told(error)}")
    print(json.dumps(found | {"calls": guard.calls if guard else 0}))


def _told(error: Exception) -> str:
    where = traceback.extract_tb(error.__traceback__)[-1]
    return f"{type(error).__name__}: {error} ({Path(where.filename).name}, line {where.lineno})"


def _hostile(guard: Guard | None, number: int) -> bool:
    """Decode, and multiply where weights can stay packed; False where the tensor is refused."""
    good, encoded = hostile(number)
    accepted = 0
    for handle in (_weights, _product):
        with suppress(SubbitError):
            handle(guard, encoded, number, good.parent)
            accepted += 1
    return accepted > 0


def _good(guard: Guard | None, number: int) -> bool:
    """Encode and decode a good tensor: the bytes and weights must be those of NumPy's kernels, and the product near."""
    codec, shape = CODECS[number % len(CODECS)], SHAPES[number // len(CODECS) % len(SHAPES)]
    weight = weights(codec, shape)
    with _inside(guard):
        encoded = codec.encode(guard.copy("weight", weight) if guard else weight)
    found = _weights(guard, encoded, number, None)
    with patch.dict(os.environ, SUBBIT_KERNELS="plain"):
        if {name: bytes(part) for name, part in codec.encode(weight).sections.items()} != encoded.sections:
            raise AssertionError("other bytes than NumPy's")
        exact = decode(encoded).astype(np.float64).reshape(matrix_shape(shape))
        if found.tobytes() != decode(encoded, np.empty(shape, found.dtype)).tobytes():
            raise AssertionError("other weights than NumPy's")
    with suppress(UsageError):  # not all can stay packed
        x, y = _product(guard, encoded, number, None)
        if np.abs(y - x.astype(np.float64) @ exact.T).max() > 1e-3 * max(1, np.abs(exact).max()):
            raise AssertionError("another product than NumPy's")
    return True


def _weights(guard: Guard | None, encoded: Encoded, number: int, parent: np.ndarray | None) -> np.ndarray:
    """Decoded into memory that is given, as one of the types that kernels write, or as they are."""
    dtype = numpy_dtype(_OUTPUTS[int(np.random.default_rng(number).integers(len(_OUTPUTS)))])
    out = guard.empty("out", encoded.shape, dtype) if guard else np.empty(encoded.shape, dtype)
    with _inside(guard):
        return decode(_mapped(guard, encoded), out if encoded.dtype in _OUTPUTS else None, parent)


def _product(guard: Guard | None, encoded: Encoded, number: int, _: object) -> tuple[np.ndarray, np.ndarray]:
    """Some rows of x, and their product with the packed weights."""
    random = np.random.default_rng(number)
    with _inside(guard), np.errstate(over="ignore", invalid="ignore"):
        packed = pack(_mapped(guard, encoded))
        x = random.standard_normal((int(random.choice(_ROWS)), packed.columns), np.float32)
        return x, packed.multiply(guard.copy("x", x) if guard else x)


def _inside(guard: Guard | None) -> AbstractContextManager[None]:
    return guard.kernels() if guard else nullcontext()


def _mapped(guard: Guard | None, encoded: Encoded) -> Encoded:
    """With sections as a mapped file hands them out."""
    if guard is None:
        return encoded
    parts = enumerate(encoded.sections.items())
    return replace(encoded, sections={name: guard.section(k, bytes(part)) for k, (name, part) in parts})


def _mark_scratch() -> None:
    """Let kernels take their scratch from Python, which (PYTHONMALLOC=debug) ends when bytes around it were written."""
    from numba.core.runtime import _nrt_python

    _nrt_python.memsys_use_cpython_allocator()


if __name__ == "__main__":
    main()
