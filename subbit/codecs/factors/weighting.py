"""What errors cost, as a weight for each row times a weight for each column."""

from __future__ import annotations

import numpy as np

from subbit.codecs.magnitudes.factorize import factorize
from subbit.curvature import Curvature

__all__ = ["separable"]


def separable(importance: np.ndarray | Curvature | None, rows: int, cols: int) -> tuple[np.ndarray, np.ndarray]:
    """Weights of rows and of columns, float64, the largest of each 1.

    A curvature gives its rows and its diagonal, any other importance its best approximation of rank 1.
    """
    if importance is None:
        return np.ones(rows), np.ones(cols)
    if isinstance(importance, Curvature):
        return _largest_one(importance.rows.astype(np.float64)), _largest_one(importance.diagonal)
    given = np.broadcast_to(np.asarray(importance), (rows, cols)).astype(np.float64)
    given = _largest_one(given).astype(np.float32)
    row_weights, col_weights = factorize(given, np.broadcast_to(np.float32(1), given.shape), 1)
    return _largest_one(row_weights[0]), _largest_one(col_weights[0])


def _largest_one(weights: np.ndarray) -> np.ndarray:
    """Equal weights where all are 0."""
    largest = weights.max(initial=0)
    scaled: np.ndarray = weights / largest if largest > 0 else np.ones_like(weights)
    return scaled
