"""Numba form of the arrangement; see `plain.arranging` for the definition."""

from __future__ import annotations

import numpy as np

from subbit.kernels.compiled.jit import jit, keep
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
    keep(lines)


@jit
def events(row_angles, column_angles, at, turned, negative):  # type: ignore[no-untyped-def]
    blocks, dim = at.shape
    first, keys = row_angles[0], np.empty(dim, np.int64)
    shift, starts = _starts(row_angles)
    for block in range(blocks):
        for j in range(dim):
            angle = column_angles[block * dim + j]
            negative[block, j] = np.uint16(angle + first) >= np.uint16(1 << 15)
            wanted = np.uint16(-np.int64(angle) & 0x7FFF)
            row = starts[wanted >> shift]
            while row < row_angles.size and row_angles[row] < wanted:
                row += 1
            keys[j] = ((row if row > 0 else row_angles.size) << 6) + j  # the first row has turned already
        for j in range(dim):
            place = 0
            for k in range(dim):  # counting has no branches to guess
                place += keys[k] < keys[j]
            at[block, place], turned[block, place] = keys[j] >> 6, j


@jit
def _starts(rising):  # type: ignore[no-untyped-def]
    # About as many parts of the half turn as rows, and where the rows of each begin.
    shift, parts = 0, 1 << 15
    while parts > rising.size and parts > 1:
        shift, parts = shift + 1, parts >> 1
    starts, row = np.empty(parts, np.int64), 0
    for part in range(parts):
        while row < rising.size and rising[row] >> shift < part:
            row += 1
        starts[part] = row
    return shift, starts
