"""How large the weights of a row and of a column are, on a logarithmic grid that every machine agrees on.

Weights of one step size but of different spread have different statistics; their context is the sum of a
row code and a column code. Cost: an entropy-coded small integer a row and a column.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from subbit.codecs.blocks import parallel
from subbit.coders.runs import Field
from subbit.kernels import kernel

__all__ = ["MAX_CONTEXTS", "Density", "column_means", "densities", "inverse", "quarter_octaves", "row_means"]

MAX_CONTEXTS = 16
_CHUNKS = 64
_CHUNK_WEIGHTS = 1 << 15
_ROUNDS = 2
_FLOOR = -4000  # code of an all-zero row or column: below every float32
# 2^(1/8), 2^(3/8) … halved: where a mantissa in [.5, 1) rounds to the next quarter octave
_EDGES = np.array([0.5452538663326288, 0.6484197773255048, 0.7711054127039704, 0.9170040432046712])


@dataclass(frozen=True)
class Density:
    """Row and column codes (sum of two = twice the context index), and how many contexts from which base."""

    rows: np.ndarray
    columns: np.ndarray
    base: int
    contexts: int

    @classmethod
    def none(cls, rows: int, cols: int) -> Density:
        """One context for all."""
        return cls(np.zeros(rows, np.int32), np.zeros(cols, np.int32), 0, 1)

    @classmethod
    def of(cls, row_codes: np.ndarray, column_codes: np.ndarray) -> Density:
        """Codes shifted to start at 0; the densest weights decide which 16 contexts are told apart."""
        rows = (row_codes - row_codes.min()).astype(np.int32)
        columns = (column_codes - column_codes.min()).astype(np.int32)
        top = int(rows.max() + columns.max()) >> 1
        base = max(0, top - MAX_CONTEXTS + 1)
        return cls(rows, columns, base, top - base + 1)

    def coarser(self) -> Density:
        """Codes of half the resolution: octaves instead of half octaves."""
        return Density.of((self.rows + 1) >> 1, (self.columns + 1) >> 1)

    def field(self) -> Field:
        """The contexts as the coder sees them."""
        return Field.of(self.rows, self.columns, self.base, self.contexts)

    def take(self, rows: np.ndarray) -> Density:
        """The same contexts for a selection of rows."""
        return Density(self.rows[rows], self.columns, self.base, self.contexts)


def densities(matrix: np.ndarray, rows: np.ndarray, columns: np.ndarray) -> Density:
    """Alternate mean magnitudes of rows and columns, each relative to the other, as quarter octaves.

    Magnitudes are counted in steps; the step of weight (i, j) is rows[i] · columns[j] (float32).
    """
    row_steps, column_steps = inverse(rows.astype(np.float64)), inverse(columns.astype(np.float64))
    row_scale, column_scale = np.ones(matrix.shape[0]), np.ones(matrix.shape[1])
    for _ in range(_ROUNDS):
        row_scale = row_means(matrix, column_steps * inverse(column_scale)) * row_steps
        column_scale = column_means(matrix, row_steps * inverse(row_scale)) * column_steps
    return Density.of(_clipped(quarter_octaves(row_scale)), _clipped(quarter_octaves(column_scale)))


def quarter_octaves(values: np.ndarray) -> np.ndarray:
    """4·log2 of positive float64 values, rounded to integers with comparisons alone; zeros give a floor."""
    mantissa, exponent = np.frexp(values)
    codes = 4 * (exponent.astype(np.int64) - 1) + np.searchsorted(_EDGES, mantissa, side="right")
    out: np.ndarray = np.where(values > 0, codes, _FLOOR)
    return out


def row_means(matrix: np.ndarray, column_weights: np.ndarray) -> np.ndarray:
    """Mean of |matrix| along each row, weighted by column."""
    out = np.empty(matrix.shape[0])
    kernels = kernel("scalar")

    def task(chunk: int) -> None:
        part = _chunk(matrix, chunk)
        kernels.row_means(matrix[part], column_weights, out[part])

    parallel(task, _chunks(matrix))
    return out


def column_means(matrix: np.ndarray, row_weights: np.ndarray) -> np.ndarray:
    """Mean of |matrix| along each column, weighted by row."""
    chunks = _chunks(matrix)
    partial = np.zeros((chunks, matrix.shape[1]))
    kernels = kernel("scalar")

    def task(chunk: int) -> None:
        part = _chunk(matrix, chunk)
        kernels.column_sums(matrix[part], row_weights[part], partial[chunk])

    parallel(task, chunks)
    total: np.ndarray = np.zeros(matrix.shape[1])
    for part in partial:
        total += part
    total /= matrix.shape[0]
    return total


def _chunks(matrix: np.ndarray) -> int:
    """How many chunks of rows: fixed by the shape, so that sums do not depend on the number of threads."""
    return max(1, min(_CHUNKS, len(matrix), int(matrix.size) // _CHUNK_WEIGHTS))


def _chunk(matrix: np.ndarray, index: int) -> slice:
    rows = matrix.shape[0]
    size = math.ceil(rows / _chunks(matrix))
    return slice(min(index * size, rows), min((index + 1) * size, rows))


def inverse(values: np.ndarray) -> np.ndarray:
    """1 / values, and 0 where they are 0."""
    out: np.ndarray = np.divide(1.0, values, out=np.zeros_like(values), where=values > 0)
    return out


def _clipped(codes: np.ndarray) -> np.ndarray:
    """Bring dead rows (and rows 16 octaves below the densest) to one lowest code, so that codes stay small."""
    clipped: np.ndarray = np.maximum(codes, int(codes.max()) - 64)
    return clipped
