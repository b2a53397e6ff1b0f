"""Singular values: how much of a matrix a low rank holds, and whether they look like those of random signs."""

from __future__ import annotations

import math
from functools import cache

import numpy as np

from subbit.bits.packing import unpack_signs
from subbit.signs import Hashed, signs

__all__ = ["compare_samples", "kolmogorov_tail", "random_singular_values", "rank_error", "singular_values"]


def singular_values(matrix: np.ndarray) -> np.ndarray:
    """Singular values, largest first, as float64: from the smaller Gram matrix, good to 1e-3 of the largest.

    A fifth of the time of a full decomposition, and enough for reports; not bit-identical between machines.
    """
    matrix = matrix.astype(np.float32, copy=False)
    gram = matrix.T @ matrix if matrix.shape[0] > matrix.shape[1] else matrix @ matrix.T
    squares = np.linalg.eigvalsh(gram)[::-1].astype(np.float64)
    values: np.ndarray = np.sqrt(np.maximum(squares, 0.0))
    return values


def rank_error(values: np.ndarray, share: float) -> float:
    """‖X − X_r‖² / ‖X‖² of the best approximation of rank r = share · min(m, n), at least 1, from singular values.

    Source: Eckart & Young (1936). 0 for a matrix of zeros.
    """
    rank = max(1, round(share * values.size))
    energy = float(np.square(values).sum())
    return float(np.square(values[rank:]).sum()) / energy if energy else 0.0


@cache
def random_singular_values(rows: int, cols: int, seed: int) -> np.ndarray:
    """Singular values of independent random signs of this shape, drawn with the counter hash."""
    negative = unpack_signs(signs(Hashed(seed), b"", rows, cols), cols)
    return singular_values(1.0 - 2.0 * negative)


def compare_samples(a: np.ndarray, b: np.ndarray) -> tuple[float, float]:
    """The two-sample Kolmogorov–Smirnov test: the largest distance D of the distributions, and its p-value.

    The p-value is the asymptotic one with Stephens' correction (1970) and holds for independent samples. Singular
    values of one matrix repel each other and vary less, so for them it is too large: a small p still is evidence,
    p near 1 is none. Compare D with that of two random matrices instead.
    """
    everything = np.sort(np.concatenate([a, b]))
    below_a = np.searchsorted(np.sort(a), everything, side="right") / a.size
    below_b = np.searchsorted(np.sort(b), everything, side="right") / b.size
    distance = float(np.abs(below_a - below_b).max())
    root = math.sqrt(a.size * b.size / (a.size + b.size))
    return distance, kolmogorov_tail((root + 0.12 + 0.11 / root) * distance)


def kolmogorov_tail(x: float) -> float:
    """P[K > x] of the Kolmogorov distribution, by whichever of its two series converges fast."""
    if x <= 0:
        return 1.0
    if x < 1.18:
        terms = (math.exp(-((2 * k - 1) ** 2) * math.pi**2 / (8 * x * x)) for k in range(1, 8))
        return max(0.0, 1.0 - math.sqrt(2 * math.pi) / x * math.fsum(terms))
    return max(0.0, 2 * math.fsum((-1) ** (k - 1) * math.exp(-2 * k * k * x * x) for k in range(1, 8)))
