"""A codebook for short vectors by Lloyd's algorithm: the same bytes on any machine and thread count.

Source: Lloyd, "Least squares quantization in PCM" (1982); seeding by Arthur and Vassilvitskii,
"k-means++: the advantages of careful seeding" (2007).
"""

from __future__ import annotations

import numpy as np

from subbit.codecs.blocks import parallel
from subbit.kernels import kernel

__all__ = ["half_squares", "kmeans", "nearest_codes"]

ROUNDS = 30
CHUNK = 1 << 13
"""Points in a unit of work: sums are formed per chunk and added in order, whatever the threads."""


def kmeans(points: np.ndarray, weights: np.ndarray, entries: int, seed: int) -> np.ndarray:
    """The codebook float32[d, entries] that `ROUNDS` of Lloyd's algorithm find for points float32[n, d].

    `weights` float64[n] ≥ 0 multiply the squared errors. Takes n · entries · d multiplications a round.
    """
    if not len(points):
        return np.zeros((points.shape[1], entries), np.float32)
    codebook = _seeds(points, weights, entries, seed)
    codes = np.zeros(len(points), np.uint16)
    for _ in range(ROUNDS):
        previous = codes
        codes, scores = nearest_codes(points, codebook)
        if np.array_equal(codes, previous):
            break
        sums = _sums(points, weights, codes, entries)
        filled = sums[:, -1] > 0
        codebook[:, filled] = (sums[filled, :-1] / sums[filled, -1:]).T.astype(np.float32)
        empty = np.flatnonzero(~filled)
        if empty.size:
            errors = weights * (scores + half_squares(points.T))
            farthest = np.argsort(-errors, kind="stable")[: empty.size]
            codebook[:, empty[: farthest.size]] = points[farthest].T
    return codebook


def nearest_codes(points: np.ndarray, codebook: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The nearest of codebook[d, K] for each of points[n, d], and half its squared distance less |x|² / 2."""
    kernels = kernel("kmeans")
    codes, scores = np.empty(len(points), np.uint16), np.empty(len(points), np.float32)
    offsets = half_squares(codebook)

    def task(chunk: int) -> None:
        part = slice(chunk * CHUNK, (chunk + 1) * CHUNK)
        kernels.nearest(points[part], codebook, offsets, codes[part], scores[part])

    parallel(task, -(-len(points) // CHUNK))
    return codes, scores


def half_squares(columns: np.ndarray) -> np.ndarray:
    """|x|² / 2 of every column of a float32 matrix, one component after the other."""
    total = np.zeros(columns.shape[1], np.float32)
    for row in columns:
        total += row * row
    return total * np.float32(0.5)


def _seeds(points: np.ndarray, weights: np.ndarray, entries: int, seed: int) -> np.ndarray:
    """k-means++: draw every center with probability weight · squared distance to the nearest so far."""
    kernels = kernel("kmeans")
    words = kernel("counter_hash").words(seed, 0, 0, entries)
    columns = np.ascontiguousarray(points.T)
    distances, chosen = np.full(len(points), np.inf, np.float32), np.empty(entries, np.intp)
    sums = np.cumsum(weights)
    for k in range(entries):
        threshold = float(words[k] >> np.uint64(11)) * 2.0**-53 * sums[-1]
        chosen[k] = min(int(np.searchsorted(sums, threshold, side="right")), len(points) - 1)
        kernels.approach(columns, points[chosen[k]], weights, distances, sums)
    return np.ascontiguousarray(points[chosen].T)


def _sums(points: np.ndarray, weights: np.ndarray, codes: np.ndarray, entries: int) -> np.ndarray:
    """float64[entries, d + 1]: Σ weight · point of each code, and Σ weight; chunks are added in order."""
    kernels = kernel("kmeans")
    chunks = -(-len(points) // CHUNK)
    parts = [np.empty((entries, points.shape[1] + 1)) for _ in range(chunks)]

    def task(chunk: int) -> None:
        part = slice(chunk * CHUNK, (chunk + 1) * CHUNK)
        kernels.accumulate(points[part], weights[part], codes[part], parts[chunk])

    parallel(task, chunks)
    total = parts[0]
    for part in parts[1:]:
        total += part
    return total
