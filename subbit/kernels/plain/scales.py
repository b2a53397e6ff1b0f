"""Least squares for one factor of a matrix at a time, and the matrix from its factors."""

from __future__ import annotations

import numpy as np

__all__ = ["column_sums", "compose", "row_sums", "subtract"]


def row_sums(residual: np.ndarray, weights: np.ndarray, col: np.ndarray, sums: np.ndarray) -> None:
    """sums float64[2, rows] = Σ_j weight · col_j · residual and Σ_j weight · col_j², j in order."""
    sums[:] = 0
    for j, factor in enumerate(col):
        weighted = weights[:, j].astype(np.float64) * factor
        sums[0] += weighted * residual[:, j]
        sums[1] += weighted * factor


def column_sums(residual: np.ndarray, weights: np.ndarray, row: np.ndarray, sums: np.ndarray) -> None:
    """sums float64[2, cols] = Σ_i weight · row_i · residual and Σ_i weight · row_i², i in order."""
    sums[:] = 0
    for i, factor in enumerate(row):
        weighted = weights[i].astype(np.float64) * factor
        sums[0] += weighted * residual[i]
        sums[1] += weighted * factor


def subtract(residual: np.ndarray, row: np.ndarray, col: np.ndarray) -> None:
    """residual float32[rows, cols] -= row · col, computed in float64 and rounded once."""
    residual[:] = residual - row[:, None] * col


def compose(row_factors: np.ndarray, col_factors: np.ndarray, out: np.ndarray) -> None:
    """out[rows, cols] = Σ_k row_factors[k] · col_factors[k] in float32, k in order."""
    with np.errstate(over="ignore"):
        out[:] = row_factors[0][:, None] * col_factors[0]
        for row, col in zip(row_factors[1:], col_factors[1:], strict=True):
            out += row[:, None] * col
