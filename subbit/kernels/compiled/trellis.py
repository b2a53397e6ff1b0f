"""Numba form of the trellis walks; see `plain.trellis` for the definitions.

The loops over states are free of branches and contiguous, apart from pairs of neighbours, so that they become vector
code. Two weights that share a state are taken in one loop: memory, not arithmetic, is what costs.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from subbit.kernels.compiled.finish import finish_row
from subbit.kernels.compiled.jit import jit
from subbit.kernels.compiled.simd import fence, move, read_word

__all__ = ["decode", "decode_even", "encode"]

_FAR = np.float32(1e30)
_HELD = 2048  # weights between states and scales


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


@jit
def decode(packed, starts, tile_rows, classes, rates, scales, table, out):  # type: ignore[no-untyped-def]
    rows, cols = out.shape
    top = 0
    while (1 << top) < table.shape[1]:
        top += 1
    for k in range(-(-rows // tile_rows)):
        start = starts[k]
        state, total, phase = np.int64(0), np.int64(65535), -1
        for i in range(k * tile_rows, min((k + 1) * tile_rows, rows)):
            row_rates, row_scales, row = rates[classes[i]], scales[classes[i]], out[i]
            for j in range(cols):
                rate = np.int64(row_rates[j])
                if rate == 0:
                    row[j] = np.float32(0) * row_scales[j]
                    continue
                place = total >> 16
                total += rate
                bits = (total >> 16) - place
                phase += 1
                if bits:
                    phase = 0
                    at = start + place
                    word = (np.int64(packed[at >> 3]) | np.int64(packed[(at >> 3) + 1]) << 8) >> (at & 7)
                    state = (state >> bits) | ((word & ((1 << bits) - 1)) << (top - bits))
                row[j] = table[phase, state] * row_scales[j]


def _walk(weights: int, step: int) -> Any:
    """Values of 32 bits: states are windows of the bits, and `step` bits on is the next look-up of so many weights."""
    size = 2 * weights

    @jit
    def walk(word, mask, entries, target):  # type: ignore[no-untyped-def]
        for k in range(np.uint64(0), np.uint64(32), np.uint64(step)):
            move(entries + size * np.intp((word >> k) & mask), target, size)
            target += size

    return walk


_walk_pairs, _walk_two, _walk_four, _walk_eight = _walk(2, 2), _walk(2, 1), _walk(4, 1), _walk(8, 1)


@jit
def _scale(wholes, scale, held):  # type: ignore[no-untyped-def]
    for j in range(scale.size):
        held[j] = np.float32(wholes[j]) * np.float32(1 / 1024) * scale[j]


@jit
def decode_even(packed, starts, tile_rows, classes, scales, table, step, out, kind, stream):  # type: ignore[no-untyped-def]
    rows, cols = out.shape
    windows, share = table.shape[0], table.shape[1] // step
    older = np.uint64(0)
    while (np.int64(1) << np.int64(older)) < windows:
        older += np.uint64(1)
    older, size = older - np.uint64(step), 4 if kind == 0 else 2
    mask, before = np.uint64(windows - 1), (np.uint64(1) << older) - np.uint64(1)
    wholes, held, spare = np.empty(_HELD + 32 * 8, np.int16), np.empty(_HELD, np.float32), np.empty(48, np.float32)
    walked, here, entries = np.intp(wholes.ctypes.data), np.intp(held.ctypes.data), np.intp(table.ctypes.data)
    none, bytes_at = np.intp(0), np.intp(packed.ctypes.data)
    for k in range(-(-rows // tile_rows)):
        at = starts[k]
        word = np.uint64(0)
        for i in range(k * tile_rows, min((k + 1) * tile_rows, rows)):
            scale, target = scales[classes[i]], np.intp(out[i].ctypes.data)
            for first in range(0, cols, _HELD):
                count = min(_HELD, cols - first)
                for start in range(0, count, 32 * share):
                    new = min(count - start, 32 * share) // share
                    word |= (read_word(bytes_at + (at >> 3)) >> np.uint64(at & 7)) << older
                    at += new
                    to = walked + 2 * start
                    if share == 1:
                        _walk_pairs(word, mask, entries, to)
                    elif share == 2:
                        _walk_two(word, mask, entries, to)
                    elif share == 4:
                        _walk_four(word, mask, entries, to)
                    else:
                        _walk_eight(word, mask, entries, to)
                    word = (word >> np.uint64(new)) & before
                _scale(wholes, scale[first : first + count], held)
                finish_row(here, none, 0, count, target + size * first, kind, stream, spare)
    if stream:
        fence()
