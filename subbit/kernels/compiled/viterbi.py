"""Numba form of the best walk along a trellis; see `plain.viterbi` for the definition.

Four steps are taken at once, so that costs stay in registers for sixteen states of every sixteen: states that differ
in their four oldest bits before them differ in their four newest ones after them.
"""

from __future__ import annotations

import numpy as np

from subbit.kernels.compiled.jit import aligned, jit
from subbit.kernels.compiled.simd import APART, BESIDE, TURNED, four_steps

__all__ = ["encode"]

_FAR = np.float32(1e30)
_UNIT = 65536
_FAR_APART = 12  # state bits


@jit
def _placed(q, lane, apart):  # type: ignore[no-untyped-def]
    """The state of a lane in a slice, its four lowest bits 0."""
    if apart:
        return (q >> 4) << 12 | lane << 8 | (q & 15) << 4
    return q << 8 | lane << 4


@jit
def _in_order(table, phases, top, apart):  # type: ignore[no-untyped-def]
    """The values as `four_steps` reads them, one behind the other: by slice, step, phase, register and lane."""
    size = 1 << top
    ordered, memory = aligned(4 * phases * size)
    at = 0
    for q in range(size >> 8):
        for j in range(4):
            for phase in range(phases):
                for r in range(16):
                    newest, low = r >> (3 - j), (r & ((1 << (3 - j)) - 1)) << (j + 1)
                    for lane in range(16):
                        old = (_placed(q, lane, apart) | low) >> (j + 1)
                        ordered[at] = table[phase, newest << (top - 1 - j) | old]
                        at += 1
    return ordered, memory


@jit
def _settle(cost, taken, count, keep, top, packed, settled):  # type: ignore[no-untyped-def]
    """Trace back from the best state, write the bits of the first `keep` steps behind `settled` bits."""
    state = np.argmin(cost)
    for step in range(count - 1, -1, -1):
        if step < keep:
            at = settled + step
            packed[at >> 3] |= np.uint8((state >> (top - 1)) << (at & 7))
        j = step & 3
        low = state & ((1 << (top - 1)) - 1)
        old = (low << (j + 1)) & ((1 << top) - 1)
        register = (low >> (top - 1 - j)) << (3 - j) | (old & 15) >> (j + 1)
        if top >= _FAR_APART and not step & 4:
            q, lane = (old >> 12) << 4 | (old >> 4) & 15, (old >> 8) & 15
        else:
            q, lane = old >> 8, (old >> 4) & 15
        state = low << 1 | (np.int64(taken[step, q << 3 | register]) >> lane) & 1


@jit
def _scheduled(targets, scales, rates):  # type: ignore[no-untyped-def]
    """A row for every weight that takes part, as `four_steps` reads it, and how many of them follow each bit."""
    total = np.int64(0)
    for rate in rates:
        total += rate
    counts = np.zeros(((total + _UNIT - 1) >> 16) + 7, np.int64)
    weights = np.zeros((targets.size, 4), np.float32)
    total, row = np.int64(_UNIT - 1), 0
    for t in range(targets.size):
        if rates[t]:
            total += rates[t]
            counts[(total >> 16) - 1] += 1
            weights[row, 0], weights[row, 1], weights[row, 2] = targets[t], scales[t], t & 63 == 63
            row += 1
    return weights, counts, total >> 16


@jit
def encode(targets, scales, rates, table, window, packed):  # type: ignore[no-untyped-def]
    weights, counts, steps = _scheduled(targets, scales, rates)
    size, phases, top = table.shape[1], max(1, counts.max()), 0
    while (1 << top) < size:
        top += 1
    tables, _tables = _in_order(table, phases, top, False)
    tables_apart, _tables_apart = _in_order(table, phases, top, True) if top >= _FAR_APART else (tables, _tables)
    cost, _cost = aligned(size)
    new, _new = aligned(size)
    taken = np.empty((window, size >> 5), np.uint16)
    cost[:] = _FAR
    cost[0] = 0
    count, settled, row = 0, 0, 0
    for step in range(0, (steps + 7) & ~7, 4):  # steps past the last one weigh nothing, and so change nothing
        if count == window:
            keep = window // 4 * 3
            _settle(cost, taken, window, keep, top, packed, settled)
            taken[: window - keep] = taken[keep:]
            count, settled = window - keep, settled + keep
        weight, following = weights[row:].ctypes.data, counts[step:].ctypes.data
        old, decided, found = cost.ctypes.data, taken[count].ctypes.data, new.ctypes.data
        if top < _FAR_APART:
            four_steps(old, size, tables.ctypes.data, phases, weight, following, decided, found, BESIDE)
        elif count & 4:
            four_steps(old, size, tables.ctypes.data, phases, weight, following, decided, found, TURNED)
        else:
            four_steps(old, size, tables_apart.ctypes.data, phases, weight, following, decided, found, APART)
        cost, new = new, cost
        count += 4
        row += counts[step : step + 4].sum()
    _settle(cost, taken, count, steps - settled, top, packed, settled)
