from __future__ import annotations

import warnings

import numpy as np
import pytest
from checks import same_bits

from subbit.codecs.trellis.rotation import rotate, rotate_back
from subbit.kernels.compiled import hadamard as compiled
from subbit.kernels.plain import hadamard as plain


def gaussian(rows: int, cols: int) -> np.ndarray:
    return np.random.default_rng(rows + cols).standard_normal((rows, cols)).astype(np.float32)


@pytest.mark.parametrize("order", [0, 1, 3, 7])
def test_twins(order: int) -> None:
    for name, shape in (("across", (5, 1 << order)), ("down", (1 << order, 37))):
        whole = gaussian(shape[0] + 2, shape[1] + 3)
        results = []
        for kernels in (compiled, plain):
            copy = whole.copy()
            getattr(kernels, name)(copy[1:-1, 2:-1], np.float32(0.3))
            results.append(copy)
        same_bits(*results)


def test_values_beyond_float32_are_infinite_and_warn_no_one() -> None:
    results = []
    for kernels in (compiled, plain):
        matrix = np.full((2, 4), 3e38, np.float32)
        matrix[1] *= -1
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            kernels.across(matrix, np.float32(0.5))
            kernels.down(matrix[:, 1:2], np.float32(0.5))
        results.append(matrix)
    same_bits(*results)
    assert np.isinf(results[0][0, 0])


def test_definition() -> None:
    matrix = np.eye(4, dtype=np.float32)
    compiled.across(matrix, np.float32(1))
    assert matrix.tolist() == [[1, 1, 1, 1], [1, -1, 1, -1], [1, 1, -1, -1], [1, -1, -1, 1]]


@pytest.mark.parametrize("shape", [(1, 1), (2, 3), (64, 32), (77, 129), (300, 5)])
def test_rotation_keeps_energy_and_comes_back(shape: tuple[int, int]) -> None:
    matrix = gaussian(*shape)
    turned = matrix.copy()
    rotate(turned, 3)
    assert (turned**2).sum() == pytest.approx((matrix**2).sum(), rel=1e-5)
    rotate_back(turned, 3)
    np.testing.assert_allclose(turned, matrix, atol=2e-6)


def test_one_weight_spreads_over_all() -> None:
    matrix = np.zeros((48, 80), np.float32)
    matrix[5, 9] = 1
    rotate(matrix, 0)
    assert np.count_nonzero(matrix) >= 256
    assert np.abs(matrix).max() < 0.2
