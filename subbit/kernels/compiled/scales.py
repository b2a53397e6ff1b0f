"""Numba form of the factor kernels; see `plain.scales` for the definitions."""

from __future__ import annotations

import numpy as np

from subbit.kernels.compiled.jit import jit

__all__ = ["column_sums", "compose", "row_sums", "subtract"]


@jit
def row_sums(residual, weights, col, sums):  # type: ignore[no-untyped-def]
    for i in range(residual.shape[0]):
        top = 0.0
        bottom = 0.0
        for j in range(residual.shape[1]):
            weighted = np.float64(weights[i, j]) * col[j]
            top += weighted * np.float64(residual[i, j])
            bottom += weighted * col[j]
        sums[0, i] = top
        sums[1, i] = bottom


@jit
def column_sums(residual, weights, row, sums):  # type: ignore[no-untyped-def]
    sums[:] = 0.0
    for i in range(residual.shape[0]):
        for j in range(residual.shape[1]):
            weighted = np.float64(weights[i, j]) * row[i]
            sums[0, j] += weighted * np.float64(residual[i, j])
            sums[1, j] += weighted * row[i]


@jit
def subtract(residual, row, col):  # type: ignore[no-untyped-def]
    for i in range(residual.shape[0]):
        for j in range(residual.shape[1]):
            residual[i, j] = np.float32(np.float64(residual[i, j]) - row[i] * col[j])


@jit
def compose(row_factors, col_factors, out):  # type: ignore[no-untyped-def]
    for i in range(out.shape[0]):
        for j in range(out.shape[1]):
            out[i, j] = row_factors[0, i] * col_factors[0, j]
        for k in range(1, row_factors.shape[0]):
            for j in range(out.shape[1]):
                out[i, j] += row_factors[k, i] * col_factors[k, j]
