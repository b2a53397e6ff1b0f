"""Numba form of the k-means kernels; see `plain.vector` for the definitions."""

from __future__ import annotations

import numpy as np

from subbit.kernels.compiled.jit import jit
from subbit.kernels.compiled.rows import read_code

__all__ = ["accumulate", "approach", "gather", "nearest"]


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


@jit
def gather(packed, width, codebook, scales, out):  # type: ignore[no-untyped-def]
    rows, cols = out.shape
    dim = codebook.shape[1]
    for i in range(rows):
        scale = scales[i]
        row = packed[i]
        for v in range(-(-cols // dim)):
            entry = codebook[read_code(row, v, width)]
            start = v * dim
            for j in range(min(dim, cols - start)):
                out[i, start + j] = entry[j] * scale
