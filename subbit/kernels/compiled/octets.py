"""Numba form of products with matrices of signs; see `plain.octets` for the definition."""

from __future__ import annotations

from typing import Any

import numpy as np

from subbit.kernels.compiled.jit import jit, keep
from subbit.kernels.compiled.simd import look_up

__all__ = ["multiply"]

_PATTERNS = 256


def _product(lanes: int, together: int) -> Any:
    """The sums of so many numbers a column, with so many octets of columns in a walk over the outputs."""

    @jit
    def product(codes, x, first, stop, sums):  # type: ignore[no-untyped-def]
        tables = np.empty((together, _PATTERNS, lanes), np.float32)
        there, pitch, target = np.intp(tables.ctypes.data), np.intp(tables.strides[0]), np.intp(sums.ctypes.data)
        for octet in range(0, codes.shape[0], together):
            for k in range(together):
                table = tables[k]
                table[0] = np.float32(0)
                for j in range(8):
                    table[0] += x[8 * (octet + k) + j]
                for j in range(8):
                    twice, half = np.float32(2) * x[8 * (octet + k) + j], 1 << j
                    for i in range(half):
                        for b in range(lanes):
                            table[half + i, b] = table[i, b] - twice[b]
            here, code_pitch = np.intp(codes[octet].ctypes.data), np.intp(codes.strides[0])
            for i in range(np.uint64(first), np.uint64(stop)):
                at = np.intp(i)
                look_up(here + at, code_pitch, there, pitch, target + 4 * lanes * (at - first), lanes, together)
        keep(tables)

    return product


_MOST = 4
_one, _four, _eight, _sixteen = _product(1, _MOST), _product(4, _MOST), _product(8, 2), _product(16, 2)


@jit
def multiply(codes, x, first, stop, y):  # type: ignore[no-untyped-def]
    octets = -(-codes.shape[0] // _MOST) * _MOST
    if octets > codes.shape[0]:
        codes = np.concatenate((codes, np.zeros((octets - codes.shape[0], codes.shape[1]), np.uint8)))
    count = x.shape[0]
    lanes = 1 if count == 1 else 4 if count <= 4 else 8 if count <= 8 else 16
    numbers, sums = np.zeros((8 * octets, lanes), np.float32), np.zeros((stop - first, lanes), np.float32)
    for b in range(count):
        for j in range(x.shape[1]):
            numbers[j, b] = x[b, j]
    if lanes == 1:
        _one(codes, numbers, first, stop, sums)
    elif lanes == 4:
        _four(codes, numbers, first, stop, sums)
    elif lanes == 8:
        _eight(codes, numbers, first, stop, sums)
    else:
        _sixteen(codes, numbers, first, stop, sums)
    for b in range(count):
        for i in range(stop - first):
            y[b, first + i] = sums[i, b]
