"""Numba form of products by tables that turn; see `plain.turning` for the definition."""

from __future__ import annotations

from typing import Any

import numpy as np

from subbit.kernels.compiled.jit import jit
from subbit.kernels.compiled.simd import LANES, add, add_scaled, combine

__all__ = ["multiply"]


def _walker(lanes: int) -> Any:
    """Rows look their sums up, `lanes` numbers at a time."""

    @jit
    def walk(codes, first, stop, table, sums):  # type: ignore[no-untyped-def]
        for row in range(np.uint64(first), np.uint64(stop)):
            add(table + 4 * lanes * np.intp(codes[row]), sums + 4 * lanes * np.intp(row), lanes)

    return walk


def _turner(lanes: int) -> Any:
    """table[entry] += entry's component · numbers, for all entries."""

    @jit
    def turn(component, numbers, table):  # type: ignore[no-untyped-def]
        for k in range(np.uint64(component.size)):
            add_scaled(numbers, component[k], table + 4 * lanes * np.intp(k), lanes)

    return turn


def _builder(lanes: int) -> Any:
    """The table of the first row: all entries times all numbers."""

    @jit
    def build(entries, numbers, table):  # type: ignore[no-untyped-def]
        dim, count = entries.shape
        source, here = np.intp(entries.ctypes.data), np.intp(numbers.ctypes.data)
        for k in range(0, count, 4):
            combine(source + 4 * k, np.intp(4 * count), np.intp(dim), here, table + 4 * lanes * k, lanes)

    return build


_walk_one, _walk_four, _walk_eight, _walk_sixteen = _walker(1), _walker(4), _walker(8), _walker(16)
_build_four, _build_eight, _build_sixteen = _builder(4), _builder(8), _builder(16)
_turn_four, _turn_eight, _turn_sixteen = _turner(4), _turner(8), _turner(16)


@jit
def multiply(codes, entries, negative, at, turned, x, first, stop, sums):  # type: ignore[no-untyped-def]
    blocks, dim = negative.shape
    lanes = x.shape[1]
    table = np.empty(entries.shape[1] * lanes, np.float32)
    signs, numbers = np.empty(dim, np.float32), np.empty((dim, lanes), np.float32)
    there = np.intp(table.ctypes.data)
    target = np.intp(sums.ctypes.data)
    for block in range(blocks):
        turns, columns, event = at[block], turned[block], 0
        signs[:] = np.float32(1)
        for j in range(dim):
            if negative[block, j]:
                signs[j] = np.float32(-1)
        while event < turns.size and turns[event] <= first:
            signs[columns[event]] *= np.float32(-1)
            event += 1
        for j in range(dim):
            numbers[j] = x[block * dim + j] * signs[j]
        _build(entries, numbers, table)
        row = first
        while row < stop:
            end = min(np.int64(turns[event]), stop) if event < turns.size else stop
            if lanes == 1:
                _walk_one(codes[block], row, end, there, target)
            elif lanes == 4:
                _walk_four(codes[block], row, end, there, target)
            elif lanes == 8:
                _walk_eight(codes[block], row, end, there, target)
            else:
                _walk_sixteen(codes[block], row, end, there, target)
            row = end
            while row < stop and event < turns.size and turns[event] == row:
                j = columns[event]
                signs[j] *= np.float32(-1)
                _turn(entries[j], x[block * dim + j], np.float32(2) * signs[j], numbers, there)
                event += 1


@jit
def _build(entries, numbers, table):  # type: ignore[no-untyped-def]
    there = np.intp(table.ctypes.data)
    if numbers.shape[1] == 1:
        table[:] = np.float32(0)
        for j in range(numbers.shape[0]):
            _turn(entries[j], numbers[j], np.float32(1), numbers, there)
    elif numbers.shape[1] == 4:
        _build_four(entries, numbers, there)
    elif numbers.shape[1] == 8:
        _build_eight(entries, numbers, there)
    else:
        _build_sixteen(entries, numbers, there)


@jit
def _turn(component, x, factor, numbers, table):  # type: ignore[no-untyped-def]
    if x.size == 1:
        source = np.intp(component.ctypes.data)
        for k in range(0, 4 * component.size, 4 * LANES):
            add_scaled(source + k, x[0] * factor, table + k, LANES)
        return
    for b in range(x.size):
        numbers[0, b] = x[b] * factor
    here = np.intp(numbers.ctypes.data)
    if x.size == 4:
        _turn_four(component, here, table)
    elif x.size == 8:
        _turn_eight(component, here, table)
    else:
        _turn_sixteen(component, here, table)
