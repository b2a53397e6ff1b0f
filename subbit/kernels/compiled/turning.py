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
    whole = negative.shape[0] & ~3 if x.shape[1] == 1 else 0
    if whole:
        _multiply_fours(codes, entries, negative, at, turned, x[:, 0], first, stop, sums[:, 0], whole)
    _multiply(codes, entries, negative, at, turned, x, first, stop, sums, whole)


@jit
def _multiply(codes, entries, negative, at, turned, x, first, stop, sums, done):  # type: ignore[no-untyped-def]
    blocks, dim = negative.shape
    lanes = x.shape[1]
    table = np.empty(entries.shape[1] * lanes, np.float32)
    signs, numbers = np.empty(dim, np.float32), np.empty((dim, lanes), np.float32)
    there, target = np.intp(table.ctypes.data), np.intp(sums.ctypes.data)
    for block in range(done, blocks):
        turns, columns = at[block], turned[block]
        event = _start(negative[block], turns, columns, first, signs)
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
def _multiply_fours(codes, entries, negative, at, turned, x, first, stop, sums, blocks):  # type: ignore[no-untyped-def]
    # Four blocks in one walk over the rows: each sum is read and written once for four look-ups.
    dim = negative.shape[1]
    tables, signs = np.empty((4, entries.shape[1]), np.float32), np.empty((4, dim), np.float32)
    events = np.empty(4, np.int64)
    for block in range(0, blocks, 4):
        for k in range(4):
            events[k] = _start(negative[block + k], at[block + k], turned[block + k], first, signs[k])
            tables[k] = np.float32(0)
            for j in range(dim):
                _add(entries[j], x[(block + k) * dim + j] * signs[k, j], np.intp(tables[k].ctypes.data))
        row = first
        while row < stop:
            end = stop
            for k in range(4):
                if events[k] < dim:
                    end = min(end, np.int64(at[block + k, events[k]]))
            _walk_fours(codes[block : block + 4, row:end], tables, sums[row:end])
            row = end
            for k in range(4):
                while row < stop and events[k] < dim and at[block + k, events[k]] == row:
                    j = turned[block + k, events[k]]
                    signs[k, j] *= np.float32(-1)
                    factor = x[(block + k) * dim + j] * np.float32(2) * signs[k, j]
                    _add(entries[j], factor, np.intp(tables[k].ctypes.data))
                    events[k] += 1


@jit
def _walk_fours(codes, tables, sums):  # type: ignore[no-untyped-def]
    a, b, c, d = codes[0], codes[1], codes[2], codes[3]
    table_a, table_b, table_c, table_d = tables[0], tables[1], tables[2], tables[3]
    for i in range(np.uint64(sums.size)):
        sums[i] += (table_a[a[i]] + table_b[b[i]]) + (table_c[c[i]] + table_d[d[i]])


@jit
def _start(negative, turns, columns, first, signs):  # type: ignore[no-untyped-def]
    # The signs of a block at a row, and how many changes came before.
    for j in range(signs.size):
        signs[j] = np.float32(-1) if negative[j] else np.float32(1)
    event = 0
    while event < turns.size and turns[event] <= first:
        signs[columns[event]] *= np.float32(-1)
        event += 1
    return event


@jit
def _build(entries, numbers, table):  # type: ignore[no-untyped-def]
    there = np.intp(table.ctypes.data)
    if numbers.shape[1] == 1:
        table[:] = np.float32(0)
        for j in range(numbers.shape[0]):
            _add(entries[j], numbers[j, 0], there)
    elif numbers.shape[1] == 4:
        _build_four(entries, numbers, there)
    elif numbers.shape[1] == 8:
        _build_eight(entries, numbers, there)
    else:
        _build_sixteen(entries, numbers, there)


@jit
def _turn(component, x, factor, numbers, table):  # type: ignore[no-untyped-def]
    if x.size == 1:
        _add(component, x[0] * factor, table)
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


@jit
def _add(component, factor, table):  # type: ignore[no-untyped-def]
    source = np.intp(component.ctypes.data)
    for k in range(0, 4 * component.size, 4 * LANES):
        add_scaled(source + k, factor, table + k, LANES)
