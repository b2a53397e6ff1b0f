"""Fit signs and scales together: W ≈ diag(a) · U · diag(s) · Vᵀ · diag(b), with U and V on their way to ±1.

Given the other side, each row of U is a least-squares problem with r unknowns. They are first allowed anywhere in
−1 … 1 and then driven into the corners: every unknown in turn takes its best value divided by a `heat` that falls from
round to round, cut at ±1, until only its sign counts. That is the idea of ADMM with a growing penalty (NanoQuant, arXiv
2602.06694) done coordinate by coordinate. The form with three scales is LittleBit's (arXiv 2506.13771).

Unknowns are whole multiples of 1/LARGEST, so that all products of matrices are exact (`exact`).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from subbit.codecs.blocks import parallel
from subbit.codecs.factors.exact import LARGEST, exact_product
from subbit.codecs.factors.greedy import greedy_signs
from subbit.kernels import kernel

__all__ = ["Side", "fit", "fit_latents", "settle", "start_scales"]

_HEATS = (*np.linspace(0.8, 0.3, 24).tolist(), *[0.0] * 6)
_CHUNK = 64
_SWEEPS = 8


@dataclass
class Side:
    """The rows of a matrix, or its columns: LARGEST · U (count, r), scales (count,), weights of errors (count,)."""

    codes: np.ndarray
    scales: np.ndarray
    weights: np.ndarray


def fit(matrix: np.ndarray, rank: int, rows: np.ndarray, cols: np.ndarray) -> tuple[Side, Side, np.ndarray]:
    """Row side, column side and latent scales float64[rank] of a float32 matrix; `rows` and `cols` weigh errors."""
    u, v = greedy_signs(matrix * np.sqrt(rows)[:, None] * np.sqrt(cols), rank)
    a, b = start_scales(matrix)
    left, right, latents = Side(u, a, rows), Side(v, b, cols), np.ones(rank)
    fit_latents(matrix, left, right, latents)
    for heat in _HEATS:
        settle(matrix, left, right, latents, heat)
        settle(matrix.T, right, left, latents, heat)
        fit_latents(matrix, left, right, latents)
    return left, right, latents


def start_scales(matrix: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Root mean squares of the rows, and of the columns in units of those."""
    rows, cols = matrix.shape
    squares = np.square(matrix, dtype=np.float64)
    row_squares = exact_product(squares, np.full(cols, 1 / cols), np.ones((cols, 1)))[:, 0]
    inverse = np.divide(1 / rows, row_squares, out=np.zeros(rows), where=row_squares > 0)
    col_squares = exact_product(squares.T, inverse, np.ones((rows, 1)))[:, 0]
    return np.sqrt(row_squares), np.sqrt(col_squares)


def settle(matrix: np.ndarray, side: Side, other: Side, latents: np.ndarray, heat: float) -> None:
    """Improve codes and scales of one side, given the other: one pass over its unknowns, each row by itself."""
    weights = other.weights * other.scales
    pull = exact_product(matrix, weights, other.codes) / LARGEST
    gram = exact_product(other.codes.T, weights * other.scales, other.codes) / LARGEST**2
    kernels = kernel("factors")

    def task(index: int) -> None:
        part = slice(index * _CHUNK, (index + 1) * _CHUNK)
        kernels.settle(side.codes[part], side.scales[part], pull[part], gram, latents, LARGEST, heat)

    parallel(task, -(-len(side.codes) // _CHUNK))


def fit_latents(matrix: np.ndarray, left: Side, right: Side, latents: np.ndarray) -> None:
    """Move the latent scales towards least squares, in place; one that turns negative flips its row signs instead."""
    a, b = left.weights * left.scales, right.weights * right.scales
    gram = exact_product(left.codes.T, a * left.scales, left.codes) / LARGEST**2
    gram *= exact_product(right.codes.T, b * right.scales, right.codes) / LARGEST**2
    target = np.zeros(latents.size)
    for products in a[:, None] * left.codes * exact_product(matrix, b, right.codes):
        target += products
    kernel("factors").relax(gram, target / LARGEST**2, latents, _SWEEPS)
    left.codes[:, latents < 0] *= -1
    np.abs(latents, out=latents)
