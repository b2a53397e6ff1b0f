"""k-means over short vectors: distances in float32, component by component; sums in float64, in order."""

from __future__ import annotations

import numpy as np

from subbit.kernels.plain.finish import finish
from subbit.kernels.plain.rows import unpack_rows
from subbit.kernels.plain.sign_planes import angle

__all__ = ["accumulate", "approach", "gather", "nearest"]


def nearest(
    points: np.ndarray, codebook: np.ndarray, offsets: np.ndarray, codes: np.ndarray, scores: np.ndarray
) -> None:
    """For each of points[n, d] the entry of codebook[d, K] with the smallest score, the first one on a tie.

    score = offsets[k] - x·c_k; with offsets = |c_k|² / 2 that is half the squared distance less |x|² / 2.
    """
    for start in range(0, len(points), 1024):
        block = points[start : start + 1024]
        score = np.repeat(offsets[None], len(block), axis=0)
        for j in range(points.shape[1]):
            score -= block[:, j, None] * codebook[j]
        best = score.argmin(axis=1)
        codes[start : start + 1024] = best
        scores[start : start + 1024] = score[np.arange(len(block)), best]


def approach(columns: np.ndarray, center: np.ndarray, distances: np.ndarray) -> None:
    """Lower distances[n] to the squared distance of columns[d, n] to center[d] where that is smaller."""
    total = np.zeros(columns.shape[1], np.float32)
    for j in range(len(center)):
        gap = columns[j] - center[j]
        total += gap * gap
    np.minimum(distances, total, out=distances)


def accumulate(points: np.ndarray, weights: np.ndarray, codes: np.ndarray, sums: np.ndarray) -> None:
    """Overwrite sums float64[K, d + 1] with Σ weight · point of the points of each code, then Σ weight."""
    entries, last = sums.shape[0], sums.shape[1] - 1
    for j in range(last):
        sums[:, j] = np.bincount(codes, weights * points[:, j], entries)
    sums[:, last] = np.bincount(codes, weights, entries)


def gather(
    packed: np.ndarray, width: int, table: np.ndarray, dim: int, scales: np.ndarray, words: np.ndarray,
    turns: np.ndarray, angles: np.ndarray, out: np.ndarray, kind: int, stream: bool,
) -> None:  # fmt: skip
    """Scale of the row · the components of table[2**width, ≥ dim] that its codes name, finished into out[rows, cols].

    A row of the table is a multiple of 16 long. Signs are the bits of `words` where there are some, XOR those that
    :func:`angle` makes of `turns` and `angles` where there are some; the others are those of :func:`finish`.
    """
    codes = unpack_rows(packed, -(-out.shape[1] // dim), width)
    entries = table[codes, :dim].reshape(len(codes), -1)[:, : out.shape[1]]
    if turns.size:
        turned = np.empty((len(out), -(-out.shape[1] // 64)), np.uint64)
        angle(turns, angles, turned)
        words = turned ^ words if words.size else turned
    finish(entries * scales[:, None], words, out, kind, stream)
