"""Numba form of looking up entries of a codebook; see `plain.vector` for the definition."""

from __future__ import annotations

from functools import cache
from typing import Any

import numpy as np

from subbit.kernels.compiled.finish import finish_row
from subbit.kernels.compiled.jit import jit, keep
from subbit.kernels.compiled.rows import address, on_lines, read_code, unpack_rows
from subbit.kernels.compiled.sign_planes import angle
from subbit.kernels.compiled.simd import AT_ONCE, LANES, fence, gather_row, scaled

__all__ = ["gather"]

_HELD = 2048  # weights between look-up and signs: with a small codebook, all in the nearest cache


def gather(
    packed: np.ndarray, width: int, table: np.ndarray, dim: int, scales: np.ndarray, words: np.ndarray,
    turns: np.ndarray, angles: np.ndarray, out: np.ndarray, kind: int, stream: bool,
) -> None:  # fmt: skip
    stream = stream and on_lines(out)
    if dim >= LANES and out.shape[1] % AT_ONCE == 0:
        codes = packed if width == 8 else unpack_rows(packed, -(-out.shape[1] // dim), width)
        loop = _in_registers(codes.itemsize, kind, stream, words.size > 0, turns.size > 0, dim == LANES)
        loop(codes, table, dim, scales, words, turns, angles, out)
        return
    if turns.size:
        turned = np.empty((len(out), -(-out.shape[1] // 64)), np.uint64)
        angle(turns, angles, turned)
        words = turned ^ words if words.size else turned
    _gather_pieces(packed, width, table, dim, scales, words, out, kind, stream)


@cache
def _in_registers(octets: int, kind: int, stream: bool, flipped: bool, turned: bool, whole: bool) -> Any:
    """For columns by the 64 and entries of at least sixteen numbers."""

    @jit
    def loop(codes, table, dim, scales, words, turns, angles, out):  # type: ignore[no-untyped-def]
        entries = np.zeros((table.shape[0] + 2) * dim + LANES, np.float32)
        first = dim + (-np.intp(entries[dim:].ctypes.data) >> 2) % LANES
        for k in range(table.shape[0]):
            entries[first + k * dim : first + (k + 1) * dim] = table[k, :dim]
        base, turn, lines = np.intp(entries.ctypes.data) + 4 * first, np.uint16(0), np.intp(out.shape[1] // AT_ONCE)
        seams = np.empty((out.shape[1] // LANES, 4), np.int32)
        _seams(dim, seams)
        for i in range(out.shape[0]):
            if turned:
                turn = turns[i]
            gather_row(
                base, address(codes, i), np.intp(dim), np.intp(seams.ctypes.data), scales[i],
                address(words, i), np.intp(angles.ctypes.data), turn,
                address(out, i), lines, octets, kind, stream, flipped, turned, whole,
            )  # fmt: skip
        if stream:
            fence()
        keep(entries)
        keep(seams)

    return loop


@jit
def _seams(dim, seams):  # type: ignore[no-untyped-def]
    for k in range(len(seams)):
        place, within = divmod(k * LANES, dim)
        own = min(dim - within, LANES)
        seams[k, 0], seams[k, 1] = place, place + (own < LANES)
        seams[k, 2], seams[k, 3] = 4 * within, (1 << own) - 1


@jit
def _gather_pieces(packed, width, table, dim, scales, words, out, kind, stream):  # type: ignore[no-untyped-def]
    rows, cols = out.shape
    codes, size = -(-cols // dim), 4 if kind == 0 else 2
    at_once, stride = _HELD // dim, 4 * table.shape[1]
    held, spare = np.empty(_HELD + LANES, np.float32), np.empty(3 * LANES, np.float32)
    entries, here = np.intp(table.ctypes.data), np.intp(held.ctypes.data)
    for i in range(rows):
        signs = np.intp(words[i].ctypes.data) if words.size else np.intp(0)
        row, target, scale = packed[i], np.intp(out[i].ctypes.data), scales[i]
        for first in range(0, codes, at_once):
            to = here
            for v in range(first, min(first + at_once, codes)):
                code = np.intp(row[np.uint64(v)]) if width == 8 else np.intp(read_code(row, v, width))
                for part in range(0, 4 * dim, 4 * LANES):  # what is too much is written over by the next
                    scaled(entries + code * stride + part, scale, to + part)
                to += 4 * dim
            start = first * dim
            count = min(at_once * dim, cols - start)
            finish_row(here, signs, start, count, target + size * start, kind, stream, spare)
    keep(held)
