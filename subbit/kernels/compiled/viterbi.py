"""Numba form of the best walk along a trellis; see `plain.viterbi` for the definition.

The loops over states are free of branches and contiguous, apart from pairs of neighbours, so that they become vector
code. Two weights that share a state are taken in one loop: memory, not arithmetic, is what costs.
"""

from __future__ import annotations

import numpy as np

from subbit.kernels.compiled.jit import jit

__all__ = ["encode"]

_FAR = np.float32(1e30)


@jit
def _stay(cost, values, x, u):  # type: ignore[no-untyped-def]
    for s in range(cost.size):
        gap = x - u * values[s]
        cost[s] += gap * gap


@jit
def _stay_twice(cost, values, x, u, values2, x2, u2):  # type: ignore[no-untyped-def]
    for s in range(cost.size):
        gap = x - u * values[s]
        gap2 = x2 - u2 * values2[s]
        cost[s] = (cost[s] + gap * gap) + gap2 * gap2


@jit
def _shift(cost, new, best, values, x, u):  # type: ignore[no-untyped-def]
    half = cost.size >> 1
    low, high = new[:half], new[half:]
    values_low, values_high = values[:half], values[half:]
    for i in range(half):
        a, b = cost[2 * i], cost[2 * i + 1]
        best[i] = b < a
        least = min(a, b)
        gap = x - u * values_low[i]
        low[i] = least + gap * gap
        gap = x - u * values_high[i]
        high[i] = least + gap * gap


@jit
def _shift_and_stay(cost, new, best, values, x, u, values2, x2, u2):  # type: ignore[no-untyped-def]
    half = cost.size >> 1
    low, high = new[:half], new[half:]
    values_low, values_high = values[:half], values[half:]
    values2_low, values2_high = values2[:half], values2[half:]
    for i in range(half):
        a, b = cost[2 * i], cost[2 * i + 1]
        best[i] = b < a
        least = min(a, b)
        gap = x - u * values_low[i]
        gap2 = x2 - u2 * values2_low[i]
        low[i] = (least + gap * gap) + gap2 * gap2
        gap = x - u * values_high[i]
        gap2 = x2 - u2 * values2_high[i]
        high[i] = (least + gap * gap) + gap2 * gap2


@jit
def _shift_two(cost, new, best, values, x, u):  # type: ignore[no-untyped-def]
    quarter = cost.size >> 2
    for i in range(quarter):
        a, b, c, d = cost[4 * i], cost[4 * i + 1], cost[4 * i + 2], cost[4 * i + 3]
        first, second = np.uint8(b < a), np.uint8(2) + np.uint8(d < c)
        least, least2 = min(a, b), min(c, d)
        best[i] = second if least2 < least else first
        new[i] = min(least, least2)
    for k in range(1, 4):
        for i in range(quarter):
            new[k * quarter + i] = new[i]
    _stay(new, values, x, u)


@jit
def _shift_many(cost, new, best, bits, values, x, u):  # type: ignore[no-untyped-def]
    size = cost.size >> bits
    for i in range(size):
        least = cost[i << bits]
        chosen = 0
        for j in range(1, 1 << bits):
            if cost[(i << bits) + j] < least:
                least = cost[(i << bits) + j]
                chosen = j
        best[i] = chosen
        for k in range(1 << bits):
            new[k * size + i] = least
    _stay(new, values, x, u)


@jit
def _remain(cost, table, phase, targets, scales, t, second):  # type: ignore[no-untyped-def]
    if second:
        _stay_twice(cost, table[phase], targets[t], scales[t], table[phase + 1], targets[t + 1], scales[t + 1])
    else:
        _stay(cost, table[phase], targets[t], scales[t])


@jit
def _move(cost, new, best, bits, table, targets, scales, t, second):  # type: ignore[no-untyped-def]
    if second:
        _shift_and_stay(cost, new, best, table[0], targets[t], scales[t], table[1], targets[t + 1], scales[t + 1])
    elif bits == 1:
        _shift(cost, new, best, table[0], targets[t], scales[t])
    elif bits == 2:
        _shift_two(cost, new, best, table[0], targets[t], scales[t])
    else:
        _shift_many(cost, new, best, bits, table[0], targets[t], scales[t])


@jit
def _settle(cost, decisions, widths, count, keep, packed, settled):  # type: ignore[no-untyped-def]
    top = 0
    while (1 << top) < cost.size:
        top += 1
    state = 0
    for s in range(cost.size):
        if cost[s] < cost[state]:
            state = s
    end = settled
    for step in range(keep):
        end += widths[step]
    at = end
    for step in range(count - 1, -1, -1):
        b = widths[step]
        symbol = state >> (top - b)
        low = state & ((1 << (top - b)) - 1)
        state = (low << b) | np.int64(decisions[step, low])
        if step < keep:
            at -= b
            for place in range(b):
                packed[(at + place) >> 3] |= np.uint8(((symbol >> place) & 1) << ((at + place) & 7))
    return end


@jit
def encode(targets, scales, rates, table, decisions, packed):  # type: ignore[no-untyped-def]
    cost = np.full(table.shape[1], _FAR, np.float32)
    new = np.empty_like(cost)
    cost[0] = 0
    widths = np.empty(decisions.shape[0], np.int64)
    count, settled, phase = 0, 0, -1
    total = np.int64(65535)
    last = targets.size - 1
    t = 0
    while t <= last:
        rate = np.int64(rates[t])
        if rate == 0:
            t += 1
            continue
        bits = ((total + rate) >> 16) - (total >> 16)
        total += rate
        phase = 0 if bits else phase + 1
        # The next weight can be taken along if it shares the state and costs are not to be lowered in between.
        second = bits < 2 and t < last and t & 63 != 63 and rates[t + 1] > 0
        second = second and ((total + rates[t + 1]) >> 16) == (total >> 16)
        if bits and count == decisions.shape[0]:
            keep = count // 2
            settled = _settle(cost, decisions, widths, count, keep, packed, settled)
            for step in range(count - keep):
                decisions[step] = decisions[keep + step]
                widths[step] = widths[keep + step]
            count -= keep
        if bits == 0:
            _remain(cost, table, phase, targets, scales, t, second)
        else:
            _move(cost, new, decisions[count], bits, table, targets, scales, t, second)
            cost, new = new, cost
            widths[count] = bits
            count += 1
        if second:
            t += 1
            total += rates[t]
            phase += 1
        if t & 63 == 63:
            base = cost[0]
            for s in range(cost.size):
                cost[s] -= base
        t += 1
    _settle(cost, decisions, widths, count, count, packed, settled)
