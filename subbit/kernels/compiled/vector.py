"""Numba form of the k-means kernels; see `plain.vector` for the definitions."""

from __future__ import annotations

from typing import Any

import numpy as np

from subbit.kernels.compiled.finish import finish_row
from subbit.kernels.compiled.jit import jit
from subbit.kernels.compiled.rows import read_code
from subbit.kernels.compiled.simd import LANES, fence, narrows, put, read_sixteen, scaled

__all__ = ["accumulate", "approach", "gather", "nearest"]

_HELD = 2048  # weights between look-up and signs: with a small codebook, all in the nearest cache


@jit
def nearest(points, codebook, offsets, codes, scores):  # type: ignore[no-untyped-def]
    entries = codebook.shape[1]
    score = np.empty((4, entries), np.float32)
    for start in range(0, points.shape[0], 4):
        count = min(4, points.shape[0] - start)
        if count == 4:
            _score_four(points[start : start + 4], codebook, offsets, score)
        else:
            for i in range(count):
                _score_one(points[start + i], codebook, offsets, score[i])
        for i in range(count):
            best = score[i, 0]
            code = 0
            for k in range(1, entries):
                if score[i, k] < best:
                    best = score[i, k]
                    code = k
            codes[start + i] = code
            scores[start + i] = best


@jit
def _score_one(point, codebook, offsets, score):  # type: ignore[no-untyped-def]
    score[:] = offsets
    for j in range(codebook.shape[0]):
        x = point[j]
        for k in range(codebook.shape[1]):
            score[k] -= x * codebook[j, k]


@jit
def _score_four(points, codebook, offsets, score):  # type: ignore[no-untyped-def]
    # Four points share each load of the codebook; every score still sums its components in order.
    score0, score1, score2, score3 = score[0], score[1], score[2], score[3]
    score0[:] = offsets
    score1[:] = offsets
    score2[:] = offsets
    score3[:] = offsets
    for j in range(codebook.shape[0]):
        row = codebook[j]
        x0, x1, x2, x3 = points[0, j], points[1, j], points[2, j], points[3, j]
        for k in range(codebook.shape[1]):
            c = row[k]
            score0[k] -= x0 * c
            score1[k] -= x1 * c
            score2[k] -= x2 * c
            score3[k] -= x3 * c


@jit
def approach(columns, center, distances):  # type: ignore[no-untyped-def]
    total = np.empty(1024, np.float32)
    for start in range(0, columns.shape[1], 1024):
        stop = min(start + 1024, columns.shape[1])
        total[:] = np.float32(0)
        for j in range(center.size):
            for i in range(start, stop):
                gap = columns[j, i] - center[j]
                total[i - start] += gap * gap
        for i in range(start, stop):
            distances[i] = min(distances[i], total[i - start])


@jit
def accumulate(points, weights, codes, sums):  # type: ignore[no-untyped-def]
    sums[:] = 0.0
    last = sums.shape[1] - 1
    for i in range(points.shape[0]):
        code = codes[i]
        for j in range(last):
            sums[code, j] += weights[i] * np.float64(points[i, j])
        sums[code, last] += weights[i]


def _lines(kind: int, stream: bool) -> Any:
    """A row whose entries are whole vectors, for one type of number: nothing needs to be held in between."""

    @jit
    def loop(row, width, entries, stride, scale, signs, target, count):  # type: ignore[no-untyped-def]
        size = 4 if kind == 0 else 2
        for v in range(count):
            code = np.intp(row[np.uint64(v)]) if width == 8 else np.intp(read_code(row, v, width))
            for part in range(0, stride, 4 * LANES):
                bits = read_sixteen(signs)
                signs += LANES // 8
                put(entries + code * stride + part, scale, bits, target, kind, stream)
                target += size * LANES

    return loop


_singles, _singles_past = _lines(0, False), _lines(0, True)
_halves, _halves_past = _lines(1, False), _lines(1, True)
_bfloats, _bfloats_past = _lines(2, False), _lines(2, True)


@jit
def gather(packed, width, table, dim, scales, words, out, kind, stream):  # type: ignore[no-untyped-def]
    cols, stride = out.shape[1], 4 * table.shape[1]
    step = LANES * (4 if kind == 0 else 2)
    whole = 4 * dim == stride and cols % dim == 0 and (narrows() or kind != 1)
    if whole and not (stream and ((np.intp(out.ctypes.data) | out.strides[0]) & (step - 1))):
        _gather_lines(packed, width, table, scales, words, out, kind, stream)
    else:
        _gather_pieces(packed, width, table, dim, scales, words, out, kind, stream)
    if stream:
        fence()


@jit
def _gather_lines(packed, width, table, scales, words, out, kind, stream):  # type: ignore[no-untyped-def]
    entries, stride, count = np.intp(table.ctypes.data), 4 * table.shape[1], out.shape[1] // table.shape[1]
    none = np.zeros(0 if words.size else out.shape[1] // LANES, np.uint16)
    for i in range(out.shape[0]):
        row, scale, target = packed[i], scales[i], np.intp(out[i].ctypes.data)
        signs = np.intp(words[i].ctypes.data) if words.size else np.intp(none.ctypes.data)
        if kind == 0:
            if stream:
                _singles_past(row, width, entries, stride, scale, signs, target, count)
            else:
                _singles(row, width, entries, stride, scale, signs, target, count)
        elif kind == 1:
            if stream:
                _halves_past(row, width, entries, stride, scale, signs, target, count)
            else:
                _halves(row, width, entries, stride, scale, signs, target, count)
        elif stream:
            _bfloats_past(row, width, entries, stride, scale, signs, target, count)
        else:
            _bfloats(row, width, entries, stride, scale, signs, target, count)


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
