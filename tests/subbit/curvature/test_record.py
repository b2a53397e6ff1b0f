"""The curvature record: what an error costs."""

from __future__ import annotations

import numpy as np
import pytest

from subbit import SubbitError
from subbit.curvature import Curvature


def test_an_error_costs_what_the_outputs_lose():
    rng = np.random.default_rng(0)
    inputs, error, rows = rng.normal(size=(50, 6)), rng.normal(size=(4, 6)), rng.random(4)
    curvature = Curvature(inputs.T @ inputs / 50, rows)
    direct = float(((inputs @ error.T) ** 2).mean(axis=0) @ rows)
    assert curvature.error(error) == pytest.approx(direct)
    assert curvature.shape == (4, 6)


def test_a_diagonal_is_a_matrix_without_the_rest():
    diagonal, rows = np.array([1.0, 4.0, 0.0]), np.array([2.0, 3.0])
    error = np.arange(6.0).reshape(2, 3)
    full, alone = Curvature(np.diag(diagonal), rows), Curvature(diagonal, rows)
    assert full.error(error) == pytest.approx(alone.error(error))
    assert np.array_equal(full.importance(), alone.importance())


@pytest.mark.parametrize(
    ("columns", "rows"),
    [
        (np.ones((2, 3)), np.ones(2)), (np.ones(3), np.ones((2, 1))), (np.array([1.0, np.nan]), np.ones(2)),
        (np.ones(3), np.array([1.0, -1.0])), (-np.eye(3), np.ones(2)),
    ],
)  # fmt: skip
def test_what_is_no_curvature_is_refused(columns, rows):
    with pytest.raises(SubbitError) as caught:
        Curvature(columns, rows)
    assert caught.value.kind == "curvature"
