"""Numba form of runs of zeros; see `plain.runs` for the definitions."""

from __future__ import annotations

import numpy as np

from subbit.kernels.compiled.finish import finish_row
from subbit.kernels.compiled.jit import jit
from subbit.kernels.compiled.simd import LANES, fence

__all__ = ["decode", "spans"]


@jit
def spans(  # type: ignore[no-untyped-def]
    symbols, order, above, row_codes, column_codes, base, longest, own, widths, bounds, starts, tails, out
):
    rows, cols = symbols.shape
    count = 0
    for i in range(rows):
        end = 0
        while end < cols:
            pos = end
            c, end = _segment(row_codes[i], column_codes[order[pos]], above, base, longest.size, cols)
            while pos < end:
                limit = min(longest[c], end - pos)
                run = 0
                while run < limit and symbols[i, order[pos + run]] == 0:
                    run += 1
                pos += run
                if run == limit:
                    out[count] = (starts[c, run] << np.uint32(16)) | (np.uint32(4095) - starts[c, run])
                    count += 1
                    continue
                symbol = np.int64(symbols[i, order[pos]]) - 1
                pos += 1
                first = run * widths[c] + min(symbol, own[c])
                if bounds[c, first] == bounds[c, first + 1]:
                    return -1
                out[count] = _span(bounds[c, first], bounds[c, first + 1])
                count += 1
                if symbol >= own[c]:
                    second = symbol - own[c]
                    if tails[c, second] == tails[c, second + 1]:
                        return -1
                    out[count] = _span(tails[c, second], tails[c, second + 1])
                    count += 1
    return count


@jit
def _segment(row_code, column_code, above, base, contexts, cols):  # type: ignore[no-untyped-def]
    c = min(max(((row_code + column_code) >> 1) - base, 0), contexts - 1)
    return c, above[max(2 * (c + base) - row_code, 0)] if c else cols


@jit
def _span(start, stop):  # type: ignore[no-untyped-def]
    return (start << np.uint32(16)) | (stop - start - np.uint32(1))


@jit
def decode(  # type: ignore[no-untyped-def]
    words, states, order, above, row_codes, column_codes, base, longest, starts, slots, skips, values, tail_slots,
    tail_values, zeros, row_steps, column_steps, out, kind, stream,
):  # fmt: skip
    # Indices are unsigned, so that none is checked for being negative. While a segment has more weights left than a
    # run can be long, nothing branches but escapes: a run without end writes the zero that stands behind it.
    rows, cols = row_steps.size, column_steps.size
    row, spare = np.empty(cols, np.float32), np.empty(3 * LANES, np.float32)
    lanes = np.uint64(states.size - 1)
    last = np.uint64(words.size - 1)
    used = lane = np.uint64(0)
    one = np.uint64(1)
    only_zeros = not zeros.any()
    for i in range(rows):
        _fill_zeros(row_codes[i], column_codes, base, zeros, only_zeros, row)
        end = np.int64(0)
        while end < cols:
            pos = np.uint64(end)
            c, end = _segment(row_codes[i], column_codes[order[end]], above, base, longest.size, cols)
            stop, limit = np.uint64(end), np.uint64(longest[c])
            slot, skip_of, value_of = slots[c], skips[c], values[c]
            while pos + limit < stop:
                x = states[lane]
                entry = slot[x & np.uint32(0xFFF)]
                symbol = entry >> np.uint32(24)
                skip = np.uint64(skip_of[symbol])
                x, used = _refill(_step(x, entry), words, used, last)
                states[lane] = x
                lane = (lane + one) & lanes
                run = skip & np.uint64(127)
                pos += run
                j = order[pos]
                row[j] = value_of[symbol]
                pos += np.uint64(run < limit)
                if skip > np.uint64(127):
                    x = states[lane]
                    entry = tail_slots[c, x & np.uint32(0xFFF)]
                    row[j] = tail_values[c, entry >> np.uint32(24)]
                    x, used = _refill(_step(x, entry), words, used, last)
                    states[lane] = x
                    lane = (lane + one) & lanes
            while pos < stop:
                x = states[lane]
                entry = slot[x & np.uint32(0xFFF)]
                symbol = entry >> np.uint32(24)
                skip = np.uint64(skip_of[symbol])
                run, left = skip & np.uint64(127), min(limit, stop - pos)
                ended = run >= left
                if ended:
                    start = starts[c, left]
                    x = np.uint32((np.uint32(4096) - start) * (x >> np.uint32(12)) + (x & np.uint32(0xFFF)) - start)
                else:
                    x = _step(x, entry)
                x, used = _refill(x, words, used, last)
                states[lane] = x
                lane = (lane + one) & lanes
                if ended:
                    pos += left
                    continue
                pos += run
                j = order[pos]
                row[j] = value_of[symbol]
                pos += one
                if skip > np.uint64(127):
                    x = states[lane]
                    entry = tail_slots[c, x & np.uint32(0xFFF)]
                    row[j] = tail_values[c, entry >> np.uint32(24)]
                    x, used = _refill(_step(x, entry), words, used, last)
                    states[lane] = x
                    lane = (lane + one) & lanes
        for j in range(cols):
            row[j] *= row_steps[i] * column_steps[j]
        finish_row(np.intp(row.ctypes.data), np.intp(0), 0, cols, np.intp(out[i].ctypes.data), kind, stream, spare)
    if stream:
        fence()
    return np.int64(used)


@jit
def _step(x, entry):  # type: ignore[no-untyped-def]
    frequency = ((entry >> np.uint32(12)) & np.uint32(0xFFF)) + np.uint32(1)
    return np.uint32(frequency * (x >> np.uint32(12)) + (entry & np.uint32(0xFFF)))


@jit
def _refill(x, words, used, last):  # type: ignore[no-untyped-def]
    low = x < np.uint32(0x10000)
    filled = np.uint32((x << np.uint32(16)) | words[used])
    return filled if low else x, min(used + np.uint64(low), last)


@jit
def _fill_zeros(row_code, column_codes, base, zeros, only_zeros, row):  # type: ignore[no-untyped-def]
    if only_zeros:
        row[:] = np.float32(0)
        return
    last = zeros.size - 1
    for j in range(row.size):
        row[j] = zeros[min(max(((row_code + column_codes[j]) >> 1) - base, 0), last)]
