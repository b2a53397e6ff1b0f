"""Pivoted Cholesky factorization, the largest remaining variance first."""

from __future__ import annotations

import numpy as np

__all__ = ["pivoted"]


def pivoted(matrix: np.ndarray, order: np.ndarray, variances: np.ndarray, lower: np.ndarray) -> None:
    """Factor a symmetric positive definite float64 matrix H: H[order][:, order] = L D Lᵀ.

    H is read above its diagonal, and overwritten. Writes `order` (intp), `variances` (float64, the diagonal of D,
    falling) and `lower` (float32, L with ones on the diagonal, row after row). A variance is what of a column's is left
    when those before it are known; one of 0 or less, by rounding, counts as 1e-300.

    Source: Higham, Accuracy and Stability of Numerical Algorithms, §10.3.
    """
    n = len(matrix)
    matrix[:] = np.triu(matrix) + np.triu(matrix, 1).T
    left = np.diagonal(matrix).copy()
    order[:] = np.arange(n)
    lower[:] = 0
    for k in range(n):
        best = k + int(np.argmax(left[k:]))
        if best != k:
            for part in (order, left, matrix, lower[:, :k], matrix.T):
                part[[k, best]] = part[[best, k]]
        variances[k] = max(left[k], 1e-300)
        row = matrix[k, k + 1 :].copy()
        lower[k, k], lower[k + 1 :, k] = 1, row / variances[k]
        column = row / np.sqrt(variances[k])
        matrix[k + 1 :, k + 1 :] -= column[:, None] * column
        left[k + 1 :] = np.diagonal(matrix)[k + 1 :]
