"""Mixing the rows and the columns of a matrix, so that heavy tails and outliers become Gaussian.

A side of n places is multiplied by random signs, and a Walsh–Hadamard transform takes its first 2^p places, p as large
as fits. If there are more, other signs and a transform of the last 2^p follow. That is orthogonal up to rounding.
Source: Tseng et al., "QuIP#", arXiv 2402.04396, section 3.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from subbit.codecs.blocks import parallel, rows_per_block
from subbit.kernels import kernel

__all__ = ["rotate", "rotate_back"]

_ROWS, _COLUMNS = 4, 5  # streams of the counter hash
_STRIPE = 256
_ROOT_HALF = np.float32(np.sqrt(0.5))


def rotate(matrix: np.ndarray, seed: int) -> None:
    """Mix a C-contiguous float32 matrix in place: the places of every row, then those of every column."""
    across, down = _signs(seed, _COLUMNS, matrix.shape[1]), _signs(seed, _ROWS, len(matrix))[:, :, None]
    _each_row(matrix, lambda part: _mix(part, across, 1))
    _each_stripe(matrix, lambda part: _mix(part, down, 0))


def rotate_back(matrix: np.ndarray, seed: int) -> None:
    """Undo :func:`rotate`, in the opposite order."""
    across, down = _signs(seed, _COLUMNS, matrix.shape[1]), _signs(seed, _ROWS, len(matrix))[:, :, None]
    _each_stripe(matrix, lambda part: _unmix(part, down, 0))
    _each_row(matrix, lambda part: _unmix(part, across, 1))


def _mix(matrix: np.ndarray, signs: np.ndarray, axis: int) -> None:
    for part, sign in zip(_parts(matrix, axis), signs, strict=False):
        matrix *= sign
        _transform(part, axis)


def _unmix(matrix: np.ndarray, signs: np.ndarray, axis: int) -> None:
    for part, sign in reversed(list(zip(_parts(matrix, axis), signs, strict=False))):
        _transform(part, axis)
        matrix *= sign


def _parts(matrix: np.ndarray, axis: int) -> list[np.ndarray]:
    """The first and the last 2^p places along an axis; one part if these are all."""
    count = matrix.shape[axis]
    size = 1 << (count.bit_length() - 1)
    starts = [0] if size == count else [0, count - size]
    return [matrix[:, start : start + size] if axis else matrix[start : start + size] for start in starts]


def _transform(part: np.ndarray, axis: int) -> None:
    order = part.shape[axis].bit_length() - 1
    scale = np.ldexp(_ROOT_HALF if order & 1 else np.float32(1), -(order >> 1))
    kernels = kernel("hadamard")
    (kernels.across if axis else kernels.down)(part, np.float32(scale))


def _signs(seed: int, stream: int, count: int) -> np.ndarray:
    """±1 for each transform and place, float32: the lowest bit of a word of the counter hash says minus."""
    odd = kernel("counter_hash").words(seed, stream, 0, 2 * count) & np.uint64(1)
    return np.where(odd == 1, np.float32(-1), np.float32(1)).reshape(2, count)


def _each_row(matrix: np.ndarray, task: Callable[[np.ndarray], None]) -> None:
    step = rows_per_block(matrix.shape[1])
    parallel(lambda index: task(matrix[index * step : (index + 1) * step]), -(-len(matrix) // step))


def _each_stripe(matrix: np.ndarray, task: Callable[[np.ndarray], None]) -> None:
    count = -(-matrix.shape[1] // _STRIPE)
    parallel(lambda index: task(matrix[:, index * _STRIPE : (index + 1) * _STRIPE]), count)
