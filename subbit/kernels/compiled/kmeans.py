"""Numba form of the k-means kernels; see `plain.kmeans` for the definitions."""

from __future__ import annotations

import numpy as np

from subbit.kernels.compiled.jit import aligned, jit
from subbit.kernels.compiled.simd import ABREAST, nearest_four

__all__ = ["accumulate", "approach", "nearest"]


@jit
def _abreast(codebook, offsets):  # type: ignore[no-untyped-def]
    """Entries and offsets as `nearest_four` reads them, and what owns them; what there is not is infinitely far."""
    dim, entries = codebook.shape
    groups = -(-entries // ABREAST)
    arranged, owner = aligned(groups * (dim + 1) * ABREAST)
    arranged[:] = np.float32(np.inf)
    codes, far = arranged[groups * ABREAST :].reshape(groups, dim, ABREAST), arranged[: groups * ABREAST]
    codes[:] = 0
    for k in range(entries):
        far[k] = offsets[k]
        for j in range(dim):
            codes[k // ABREAST, j, k % ABREAST] = codebook[j, k]
    return codes, far, owner


@jit
def nearest(points, codebook, offsets, codes, scores):  # type: ignore[no-untyped-def]
    count, dim = points.shape
    entries, far, _owner = _abreast(codebook, offsets)
    places, here, there = points.ctypes.data, entries.ctypes.data, far.ctypes.data
    few = np.empty((4, dim), np.float32)
    found, score = np.empty(4, np.uint32), np.empty(4, np.float32)
    for start in range(0, count, 4):
        own = min(4, count - start)
        at = places + 4 * dim * start
        if own < 4:  # the last ones, and then the first of them again
            for i in range(4):
                few[i] = points[start + i % own]
            at = few.ctypes.data
        nearest_four(at, dim, here, there, len(entries), found.ctypes.data, score.ctypes.data)
        for i in range(own):
            codes[start + i] = found[i]
            scores[start + i] = score[i]


@jit
def approach(columns, center, weights, distances, sums):  # type: ignore[no-untyped-def]
    squares = np.empty(1024, np.float32)
    total = 0.0
    for start in range(0, columns.shape[1], 1024):
        part = distances[start : start + 1024]
        squares[:] = np.float32(0)
        for j in range(center.size):
            column, middle = columns[j, start : start + 1024], center[j]
            for i in range(part.size):
                gap = column[i] - middle
                squares[i] += gap * gap
        for i in range(part.size):
            part[i] = min(part[i], squares[i])
        for i in range(part.size):
            total += weights[start + i] * np.float64(part[i])
            sums[start + i] = total


@jit
def accumulate(points, weights, codes, sums):  # type: ignore[no-untyped-def]
    sums[:] = 0.0
    last = sums.shape[1] - 1
    for i in range(points.shape[0]):
        code = codes[i]
        for j in range(last):
            sums[code, j] += weights[i] * np.float64(points[i, j])
        sums[code, last] += weights[i]
