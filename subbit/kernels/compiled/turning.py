"""Numba form of products by tables that turn; see `plain.turning` for the definition.

Several blocks of columns share one walk over the rows, so that each sum is read and written once for as many look-ups.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from subbit.kernels.compiled.jit import jit, keep
from subbit.kernels.compiled.simd import add_outer, combine, look_up

__all__ = ["multiply"]


def _product(lanes: int, together: int) -> Any:
    """The sums of so many numbers a column, with so many blocks in a walk."""

    @jit
    def walk(codes, pitch, first, stop, tables, table_pitch, sums):  # type: ignore[no-untyped-def]
        for row in range(np.uint64(first), np.uint64(stop)):
            at = np.intp(row)
            look_up(codes + at, pitch, tables, table_pitch, sums + 4 * lanes * at, lanes, together)

    @jit
    def begin(entries, turns, turned, x, first, signs, numbers, table):  # type: ignore[no-untyped-def]
        # The table of a block at a row, and how many of its signs have changed before.
        dim, count = entries.shape
        event = 0
        while event < dim and turns[event] <= first:
            signs[turned[event]] *= np.float32(-1)
            event += 1
        for j in range(dim):
            for b in range(lanes):
                numbers[j, b] = x[j, b] * signs[j]
        here, there = np.intp(numbers.ctypes.data), np.intp(table.ctypes.data)
        combine(np.intp(entries.ctypes.data), np.intp(count), np.intp(dim), here, there, lanes)
        return event

    @jit
    def turn(component, x, factor, numbers, table):  # type: ignore[no-untyped-def]
        for b in range(lanes):
            numbers[b] = x[b] * factor
        here, there = np.intp(numbers.ctypes.data), np.intp(table.ctypes.data)
        add_outer(np.intp(component.ctypes.data), np.intp(component.size), here, there, lanes)

    @jit
    def product(codes, entries, negative, at, turned, x, first, stop, sums):  # type: ignore[no-untyped-def]
        blocks, dim = negative.shape
        tables = np.empty((together, entries.shape[1] * lanes), np.float32)
        signs, numbers = np.empty((together, dim), np.float32), np.empty((dim, lanes), np.float32)
        events, there, pitch = np.empty(together, np.int64), np.intp(tables.ctypes.data), np.intp(tables.strides[0])
        target = np.intp(sums.ctypes.data) - 4 * lanes * np.intp(first)
        for start in range(0, blocks, together):
            block = min(start, blocks - together)
            for k in range(together):
                if block + k < start:  # was in the walk before
                    tables[k] = np.float32(0)
                    events[k] = dim
                    continue
                own = slice((block + k) * dim, (block + k + 1) * dim)
                for j in range(dim):
                    signs[k, j] = np.float32(-1) if negative[block + k, j] else np.float32(1)
                turns, columns = at[block + k], turned[block + k]
                events[k] = begin(entries, turns, columns, x[own], first, signs[k], numbers, tables[k])
            row = first
            while row < stop:
                end = stop
                for k in range(together):
                    if events[k] < dim:
                        end = min(end, np.int64(at[block + k, events[k]]))
                walk(np.intp(codes[block].ctypes.data), np.intp(codes.strides[0]), row, end, there, pitch, target)
                row = end
                for k in range(together):
                    while row < stop and events[k] < dim and at[block + k, events[k]] == row:
                        j = turned[block + k, events[k]]
                        signs[k, j] *= np.float32(-1)
                        turn(entries[j], x[(block + k) * dim + j], np.float32(2) * signs[k, j], numbers[0], tables[k])
                        events[k] += 1
        keep(tables)

    return product


_FEWEST = 4
_one, _four, _eight, _sixteen = _product(1, 4), _product(4, 4), _product(8, 2), _product(16, _FEWEST)


@jit
def _padded(x, lanes, count):  # type: ignore[no-untyped-def]
    numbers = np.zeros((count, lanes), np.float32)
    for b in range(x.shape[0]):
        for j in range(x.shape[1]):
            numbers[j, b] = x[b, j]
    return numbers


@jit
def multiply(codes, entries, negative, at, turned, order, scales, x, first, stop, y):  # type: ignore[no-untyped-def]
    blocks, dim = negative.shape
    if blocks < _FEWEST:
        more = _FEWEST - blocks
        codes = np.concatenate((codes, np.zeros((more, codes.shape[1]), np.uint8)))
        negative = np.concatenate((negative, np.zeros((more, dim), np.bool_)))
        at = np.concatenate((at, np.full((more, dim), codes.shape[1], np.int32)))
        turned = np.concatenate((turned, np.zeros((more, dim), np.uint8)))
    count = x.shape[0]
    lanes = 1 if count == 1 else 4 if count <= 4 else 8 if count <= 8 else 16
    numbers, sums = _padded(x, lanes, negative.size), np.zeros((stop - first, lanes), np.float32)
    if lanes == 1:
        _one(codes, entries, negative, at, turned, numbers, first, stop, sums)
    elif lanes == 4:
        _four(codes, entries, negative, at, turned, numbers, first, stop, sums)
    elif lanes == 8:
        _eight(codes, entries, negative, at, turned, numbers, first, stop, sums)
    else:
        _sixteen(codes, entries, negative, at, turned, numbers, first, stop, sums)
    for b in range(count):
        for i in range(stop - first):
            y[b, order[first + i]] = sums[i, b] * scales[first + i]
