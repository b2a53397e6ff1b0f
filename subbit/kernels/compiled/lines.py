"""Numba form of products with codes of sixteen weights; see `plain.lines` for the definition."""

from __future__ import annotations

from typing import Any

import numpy as np

from subbit.kernels.compiled.jit import jit
from subbit.kernels.compiled.simd import dots

__all__ = ["multiply"]


def _rows(at_once: int, lanes: int) -> Any:
    @jit
    def loop(packed, table, words, x, first, stop, sums):  # type: ignore[no-untyped-def]
        codes, signs, target = np.intp(packed.ctypes.data), np.intp(words.ctypes.data), np.intp(sums.ctypes.data)
        entries, numbers, count = np.intp(table.ctypes.data), np.intp(x.ctypes.data), x.shape[1] // 16
        pitch, sign_pitch = np.intp(packed.strides[0]), np.intp(words.strides[0])
        for i in range(first, stop, at_once):
            dots(
                codes + pitch * i, pitch, signs + sign_pitch * i, sign_pitch, entries, count, numbers,
                np.intp(x.strides[0]), target + 4 * lanes * i, at_once, lanes,
            )  # fmt: skip

    return loop


_four_one, _four_four, _two_eight = _rows(4, 1), _rows(4, 4), _rows(2, 8)
_one_one, _one_four, _one_eight = _rows(1, 1), _rows(1, 4), _rows(1, 8)


@jit
def multiply(packed, table, words, x, sums):  # type: ignore[no-untyped-def]
    rows, lanes = sums.shape
    if lanes == 1:
        whole = rows & ~3
        _four_one(packed, table, words, x, 0, whole, sums)
        _one_one(packed, table, words, x, whole, rows, sums)
    elif lanes == 4:
        whole = rows & ~3
        _four_four(packed, table, words, x, 0, whole, sums)
        _one_four(packed, table, words, x, whole, rows, sums)
    else:
        whole = rows & ~1
        _two_eight(packed, table, words, x, 0, whole, sums)
        _one_eight(packed, table, words, x, whole, rows, sums)
