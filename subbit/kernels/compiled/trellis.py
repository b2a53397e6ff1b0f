"""Numba form of following walks along a trellis; see `plain.trellis` for the definitions."""

from __future__ import annotations

from typing import Any

import numpy as np

from subbit.kernels.compiled.finish import finish_row
from subbit.kernels.compiled.jit import jit
from subbit.kernels.compiled.simd import fence, move, read_word

__all__ = ["decode", "decode_even"]

_HELD = 2048  # weights between states and scales


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
