"""Walsh–Hadamard transforms of the rows or columns of a matrix, in float32 and in one fixed order."""

from __future__ import annotations

import numpy as np

__all__ = ["across", "down"]


def across(matrix: np.ndarray, scale: np.float32) -> None:
    """Each row of float32[rows, 2^p] in place: x_j, x_j+h ← sum and difference for h = 1, 2, 4 …; then × scale."""
    rows, size = matrix.shape
    whole = np.ascontiguousarray(matrix)
    h = 1
    while h < size:
        pairs = whole.reshape(rows, size // (2 * h), 2, h)
        with np.errstate(over="ignore", invalid="ignore"):
            low, high = pairs[:, :, 0] + pairs[:, :, 1], pairs[:, :, 0] - pairs[:, :, 1]
        pairs[:, :, 0], pairs[:, :, 1] = low, high
        h *= 2
    np.multiply(whole, scale, out=matrix)


def down(matrix: np.ndarray, scale: np.float32) -> None:
    """The same for each column of float32[2^p, cols]."""
    columns = np.ascontiguousarray(matrix.T)
    across(columns, scale)
    matrix[:] = columns.T
