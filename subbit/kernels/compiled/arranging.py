"""Numba form of the arrangement; see `plain.arranging` for the definition."""

from __future__ import annotations

import numpy as np

from subbit.kernels.compiled.jit import jit
from subbit.kernels.compiled.rows import read_code
from subbit.kernels.compiled.simd import move
from subbit.kernels.compiled.simd.transposing import transpose_bytes

__all__ = ["columns", "events"]

_SIDE = 8
_TILE = 64  # rows that fill a line of the cache in each column


@jit
def columns(packed, width, order, codes):  # type: ignore[no-untyped-def]
    count, rows = codes.shape
    if width != 8 or count < _SIDE or rows < _SIDE:
        for i in range(rows):
            row = packed[order[i]]
            for j in range(count):
                codes[j, i] = read_code(row, j, width)
        return
    source, target, places = np.intp(packed.ctypes.data), np.intp(codes.ctypes.data), np.intp(order.ctypes.data)
    pitch, lines = np.intp(packed.strides[0]), np.empty((_SIDE, _TILE), np.uint8)
    there = np.intp(lines.ctypes.data)
    for start in range(0, rows, _TILE):
        for left in range(0, count, _SIDE):
            j = min(left, count - _SIDE)  # the last squares reach back: what they share is written twice
            if rows - start < _TILE:
                for top in range(start, rows, _SIDE):
                    i = min(top, rows - _SIDE)
                    transpose_bytes(source + j, pitch, places + 4 * i, target + rows * j + i, np.intp(rows))
                continue
            for i in range(0, _TILE, _SIDE):
                transpose_bytes(source + j, pitch, places + 4 * (start + i), there + i, np.intp(_TILE))
            for k in range(_SIDE):  # whole lines of the cache: columns may be a power of two apart
                move(there + _TILE * k, target + rows * (j + k) + start, 64)


@jit
def events(row_angles, column_angles, at, turned, negative):  # type: ignore[no-untyped-def]
    blocks, dim = at.shape
    first = row_angles[0]
    for block in range(blocks):
        for j in range(dim):
            angle = column_angles[block * dim + j]
            negative[block, j] = np.uint16(angle + first) >= np.uint16(1 << 15)
            row = np.int32(_first_from(row_angles, np.uint16(-np.int64(angle) & 0x7FFF)))
            if row == 0:  # the first row has turned already
                row = np.int32(row_angles.size)
            place = j
            while place > 0 and at[block, place - 1] > row:
                at[block, place], turned[block, place] = at[block, place - 1], turned[block, place - 1]
                place -= 1
            at[block, place], turned[block, place] = row, j


@jit
def _first_from(rising, wanted):  # type: ignore[no-untyped-def]
    # The first place of a number that is not smaller; halving without branches.
    start, left = 0, rising.size
    while left > 0:
        half = (left + 1) >> 1
        start += half if rising[start + half - 1] < wanted else 0
        left -= half
    return start
