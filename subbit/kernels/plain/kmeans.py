"""k-means over short vectors: distances in float32, component by component; sums in float64, in order."""

from __future__ import annotations

import numpy as np

__all__ = ["accumulate", "approach", "nearest"]


def nearest(
    points: np.ndarray, codebook: np.ndarray, offsets: np.ndarray, codes: np.ndarray, scores: np.ndarray
) -> None:
    """For each of points[n, d] the entry of codebook[d, K] with the smallest score, the first one on a tie.

    score = offsets[k] - x·c_k; with offsets = |c_k|² / 2 that is half the squared distance less |x|² / 2. Points lie
    one behind the other.
    """
    for start in range(0, len(points), 1024):
        block = points[start : start + 1024]
        score = np.repeat(offsets[None], len(block), axis=0)
        for j in range(points.shape[1]):
            score -= block[:, j, None] * codebook[j]
        best = score.argmin(axis=1)
        codes[start : start + 1024] = best
        scores[start : start + 1024] = score[np.arange(len(block)), best]


def approach(
    columns: np.ndarray, center: np.ndarray, weights: np.ndarray, distances: np.ndarray, sums: np.ndarray
) -> None:
    """Lower distances[n] to the squared distance of columns[d, n] to center[d] where that is smaller.

    Then overwrite sums float64[n] with the running sum of weight · distance.
    """
    total = np.zeros(columns.shape[1], np.float32)
    for j in range(len(center)):
        gap = columns[j] - center[j]
        total += gap * gap
    np.minimum(distances, total, out=distances)
    np.cumsum(weights * distances, out=sums)


def accumulate(points: np.ndarray, weights: np.ndarray, codes: np.ndarray, sums: np.ndarray) -> None:
    """Overwrite sums float64[K, d + 1] with Σ weight · point of the points of each code, then Σ weight."""
    entries, last = sums.shape[0], sums.shape[1] - 1
    for j in range(last):
        sums[:, j] = np.bincount(codes, weights * points[:, j], entries)
    sums[:, last] = np.bincount(codes, weights, entries)
