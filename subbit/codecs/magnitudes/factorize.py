"""Non-negative factors of a matrix by alternating weighted least squares, one rank after the other.

Source: Cichocki, Zdunek, Amari, "Hierarchical ALS algorithms for nonnegative matrix and 3D tensor
factorization" (2007), with a weight on every squared error.
"""

from __future__ import annotations

import numpy as np

from subbit.codecs.blocks import parallel
from subbit.kernels import kernel

__all__ = ["factorize"]

ROUNDS = 20
CHUNK = 256
"""Rows in a unit of work: column sums are formed per chunk and added in order, whatever the threads."""


def factorize(matrix: np.ndarray, weights: np.ndarray, rank: int) -> tuple[np.ndarray, np.ndarray]:
    """Factors float64[rank, rows] and [rank, cols], all ≥ 0, of a matrix ≥ 0; one float32 copy is kept.

    Rank 1 starts from ones, so that the first row factors are the row means; further ranks start
    from random columns. Each step is the exact least-squares answer for one factor, cut at 0.
    """
    rows, cols = matrix.shape
    row_factors, col_factors = np.zeros((rank, rows)), np.ones((rank, cols))
    if rank > 1:
        words = kernel("counter_hash").words(0, 0, 0, rank * cols)
        col_factors[:] = ((words >> np.uint64(32)).astype(np.float64) * 2.0**-32).reshape(rank, cols)
    residual = matrix.astype(np.float32)
    chunks = [slice(start, start + CHUNK) for start in range(0, rows, CHUNK)]
    for _ in range(ROUNDS):
        for row, col in zip(row_factors, col_factors, strict=True):
            _update_rows(residual, weights, row, col, chunks)
            _update_cols(residual, weights, row, col, chunks)
    return row_factors, col_factors


def _update_rows(
    residual: np.ndarray, weights: np.ndarray, row: np.ndarray, col: np.ndarray, chunks: list[slice]
) -> None:
    scales = kernel("scales")

    def task(index: int) -> None:
        part = chunks[index]
        sums = np.zeros((2, residual[part].shape[0]))
        scales.row_sums(residual[part], weights[part], col, sums)
        change = _step(row[part], sums)
        scales.subtract(residual[part], change, col)
        row[part] += change

    parallel(task, len(chunks))


def _update_cols(
    residual: np.ndarray, weights: np.ndarray, row: np.ndarray, col: np.ndarray, chunks: list[slice]
) -> None:
    scales = kernel("scales")
    parts = np.zeros((len(chunks), 2, col.size))

    def add_up(index: int) -> None:
        scales.column_sums(residual[chunks[index]], weights[chunks[index]], row[chunks[index]], parts[index])

    parallel(add_up, len(chunks))
    total = np.zeros((2, col.size))
    for part in parts:
        total += part
    change = _step(col, total)
    parallel(lambda index: scales.subtract(residual[chunks[index]], row[chunks[index]], change), len(chunks))
    col += change


def _step(factor: np.ndarray, sums: np.ndarray) -> np.ndarray:
    """The change that minimizes the weighted error without making the factor negative."""
    solvable = sums[1] > 0
    change = np.zeros_like(factor)
    change[solvable] = np.maximum(sums[0, solvable] / sums[1, solvable], -factor[solvable])
    return change
