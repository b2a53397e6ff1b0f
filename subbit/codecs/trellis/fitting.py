"""The scale, and for magnitudes the centre, that fit finished walks best: least squares."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from subbit.codecs.blocks import parallel
from subbit.codecs.trellis.model import Model
from subbit.codecs.trellis.reading import Reader
from subbit.kernels import kernel

__all__ = ["fitted"]

_LARGEST = 2.0**124  # scales above it could make a value infinite


def fitted(model: Model, packed: np.ndarray, state_bits: int, matrix: np.ndarray, roots: np.ndarray | None) -> Model:
    """The model with another step (and bias), so that Σ (root · (weight − decoded))² is smallest."""
    moments = _moments(model, packed, state_bits, matrix, roots)
    walk, both, center, walk_target, center_target = moments
    determinant = walk * center - both * both
    if model.shape.signed or determinant <= 1e-9 * walk * center:
        step, bias = (walk_target / walk if walk else 1.0), 1.0
    else:
        step = (walk_target * center - center_target * both) / determinant
        bias = (center_target * walk - walk_target * both) / determinant
    step, bias = max(step, 0.0), max(bias, 0.0)
    return replace(model, step=model.step * np.float32(step), bias=model.bias * np.float32(bias))


def _moments(
    model: Model, packed: np.ndarray, state_bits: int, matrix: np.ndarray, roots: np.ndarray | None
) -> list[float]:
    """Σ walk², Σ walk · center, Σ center², Σ walk · target, Σ center · target, weighted, by rows in order."""
    reader = Reader.with_model(model, packed, state_bits)
    grid, height = reader.grid, reader.block_rows
    sums = np.zeros((5, len(matrix)))

    def task(index: int) -> None:
        start, stop = index * height, min((index + 1) * height, len(matrix))
        walk, center = np.empty(matrix[start:stop].shape, np.float32), grid.centers[grid.of[start:stop]]
        reader.fill(start, stop, walk)
        walk -= center
        target = matrix[start:stop]
        weight = np.float32(1) if roots is None else roots[start:stop] * roots[start:stop]
        pairs = [(walk, walk), (walk, center), (center, center), (walk, target), (center, target)]
        for total, (left, right) in zip(sums, pairs, strict=True):
            total[start:stop] = _products(weight * left, right)

    parallel(task, -(-len(matrix) // height))
    totals: list[float] = np.cumsum(sums, axis=1)[:, -1].tolist()
    return totals


def _products(left: np.ndarray, right: np.ndarray) -> np.ndarray:
    """Σ_j left · right of every row, in order."""
    both = np.empty((2, len(left)))
    kernel("scales").row_sums(right, left, np.ones(left.shape[1]), both)
    sums: np.ndarray = both[0]
    return sums
