"""Numba form of products with even walks along a trellis; see `plain.walks` for the definition."""

from __future__ import annotations

from functools import cache
from typing import Any

import numpy as np

from subbit.kernels.compiled.jit import jit
from subbit.kernels.compiled.simd import UNIT, walk_dots

__all__ = ["multiply"]

_NEAR = 16  # units of x that stay in the first cache where it has many rows


@cache
def _product(rows: int, lanes: int, weights: int, bits: int) -> Any:
    """For so many rows and numbers at once, and look-ups of so many weights that are so many bits apart."""

    @jit
    def product(packed, places, done, table, x, scales, first, stop, y):  # type: ignore[no-untyped-def]
        older, window = -np.int64(bits), np.uint64(table.shape[0] - 1)
        while (np.int64(1) << (older + bits)) < table.shape[0]:
            older += 1
        string, entries = np.intp(packed.ctypes.data), np.intp(table.ctypes.data)
        numbers, pitch, units = np.intp(x.ctypes.data), np.intp(x.strides[0]), x.shape[1] // UNIT
        at, absent = np.empty(rows, np.int64), np.empty(rows, np.int64)
        sums, total = np.empty((rows, lanes), np.float32), np.empty((rows, lanes), np.float32)
        at_once = units if lanes == 1 else _NEAR
        for i in range(first, stop, rows):
            total[:] = np.float32(0)
            for start in range(0, units, at_once):
                before = start * (UNIT // weights * bits) - older
                for r in range(rows):
                    row = min(i + r, stop - 1)
                    at[r], absent[r] = places[row] + before, -done[row] - before
                walk_dots(
                    string, np.intp(at.ctypes.data), np.intp(absent.ctypes.data), entries, window,
                    np.intp(min(at_once, units - start)), numbers + 4 * UNIT * start, pitch,
                    np.intp(sums.ctypes.data), rows, lanes, weights, bits,
                )  # fmt: skip
                total += sums
            for r in range(min(rows, stop - i)):
                for b in range(y.shape[0]):
                    y[b, i + r] = total[r, b] * scales[i + r]

    return product


def multiply(
    packed: np.ndarray, places: np.ndarray, done: np.ndarray, table: np.ndarray, bits: int, x: np.ndarray,
    scales: np.ndarray, first: int, stop: int, y: np.ndarray,
) -> None:  # fmt: skip
    lanes = len(x)
    product = _product(2 if lanes == 8 else 4, lanes, table.shape[1], bits)
    product(packed, places, done, table, x, scales, first, stop, y)
