"""Products with signs × codes of sixteen weights: each entry is a line of the cache, and goes from there to the sum."""

from __future__ import annotations

import numpy as np

__all__ = ["multiply"]


def multiply(packed: np.ndarray, table: np.ndarray, words: np.ndarray, x: np.ndarray, sums: np.ndarray) -> None:
    """Overwrite sums[rows, lanes] with Σ over columns of sign · component · x[lanes, columns].

    Codes are uint8 packed[rows, columns / 16], entries table[256, 16], signs the words of `sign_planes`. Columns are a
    multiple of 16, lanes 1, 4 or 8. Twins agree but for rounding.
    """
    octets = np.ascontiguousarray(words.astype("<u8")).view(np.uint8)
    negative = np.unpackbits(octets, axis=1, count=x.shape[1], bitorder="little").astype(bool)
    weights = table[packed].reshape(len(packed), -1)
    sums[:] = np.where(negative, -weights, weights) @ x.T
