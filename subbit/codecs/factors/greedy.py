"""Where fitting starts: one pair of sign vectors after the other, each the best that alternation finds."""

from __future__ import annotations

import numpy as np

from subbit.codecs.factors.exact import LARGEST

__all__ = ["greedy_signs"]

_BITS = 24
_ROUNDS = 12
_CHUNK = 256


def greedy_signs(matrix: np.ndarray, rank: int) -> tuple[np.ndarray, np.ndarray]:
    """Row and column signs as ±LARGEST, float64 (rows, rank) and (cols, rank), of a float64 matrix.

    u ← sign(R v), v ← sign(uᵀ R) raises uᵀ R v with every step; then the mean of R · u vᵀ leaves the residual R.
    R holds whole numbers, so that its sums are exact. Source: the cut decomposition of Frieze and Kannan, "Quick
    approximation to matrices and applications" (1999).
    """
    rows, cols = matrix.shape
    residual = np.rint(np.ldexp(matrix, _BITS - np.frexp(np.abs(matrix).max(initial=0))[1]))
    row_signs, col_signs = np.empty((rank, rows)), np.empty((rank, cols))
    for k in range(rank):
        v = _signs(residual[k % rows])
        for _ in range(_ROUNDS):
            u = _signs(residual @ v)
            sums = u @ residual
            v = _signs(sums)
        mean = round(int(np.abs(sums).astype(np.int64).sum()) / (rows * cols))
        for start in range(0, rows, _CHUNK):
            part = slice(start, start + _CHUNK)
            residual[part] -= (mean * u[part])[:, None] * v
        row_signs[k], col_signs[k] = u, v
    return np.ascontiguousarray(LARGEST * row_signs.T), np.ascontiguousarray(LARGEST * col_signs.T)


def _signs(values: np.ndarray) -> np.ndarray:
    return np.where(values < 0, -1.0, 1.0)
