"""Numba form of following walks along a trellis; see `plain.trellis` for the definitions."""

from __future__ import annotations

from functools import cache
from typing import Any

import numpy as np

from subbit.kernels.compiled.jit import jit
from subbit.kernels.compiled.rows import address, on_lines
from subbit.kernels.compiled.simd import UNIT, copy, fence, walk

__all__ = ["decode", "decode_even"]


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


@cache
def _even(weights: int, bits: int, kind: int, stream: bool) -> Any:
    """For look-ups of so many weights, so many bits apart."""

    @jit
    def even(packed, starts, tile_rows, classes, scales, table, out):  # type: ignore[no-untyped-def]
        rows, cols = out.shape
        older, window = -np.int64(bits), np.uint64(table.shape[0] - 1)
        while (np.int64(1) << (older + bits)) < table.shape[0]:
            older += 1
        whole, size = np.intp(cols // UNIT), np.intp(2 if kind else 4)
        rest, last, spare = cols - whole * UNIT, np.zeros(UNIT, np.float32), np.empty(UNIT, np.float32)
        string, entries = np.intp(packed.ctypes.data), np.intp(table.ctypes.data)
        for i in range(rows):
            done = i % tile_rows * cols * bits // weights
            place, absent = np.intp(starts[i // tile_rows] + done - older), np.intp(older - done)
            scale, target = address(scales, classes[i]), address(out, i)
            walk(string, place, absent, entries, window, whole, scale, target, weights, bits, kind, stream)
            if rest:
                before, there = whole * (UNIT // weights * bits), np.intp(spare.ctypes.data)
                copy(scale + 4 * UNIT * whole, np.intp(last.ctypes.data), 4 * rest)
                walk(
                    string, place + before, absent - before, entries, window, np.intp(1), np.intp(last.ctypes.data),
                    there, weights, bits, kind, False,
                )  # fmt: skip
                copy(there, target + size * UNIT * whole, size * rest)
        if stream:
            fence()

    return even


def decode_even(
    packed: np.ndarray, starts: np.ndarray, tile_rows: int, classes: np.ndarray, scales: np.ndarray, table: np.ndarray,
    bits: int, out: np.ndarray, kind: int, stream: bool,
) -> None:  # fmt: skip
    loop = _even(table.shape[1], bits, kind, stream and on_lines(out))
    loop(packed, starts, tile_rows, classes, scales, table, out)
