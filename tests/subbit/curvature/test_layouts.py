from __future__ import annotations

import numpy as np
import pytest

from subbit.curvature.layouts import matrix_curvature
from subbit.records import matrix_shape


def moments(groups: int, inputs: int, outputs: int) -> tuple[np.ndarray, np.ndarray]:
    random = np.random.default_rng(0)
    x = random.standard_normal((groups, 3 * inputs, inputs)) * random.uniform(0.2, 3, (groups, 1, inputs))
    return (x.swapaxes(1, 2) @ x).astype(np.float32), random.uniform(0.1, 5, (groups, outputs)).astype(np.float32)


def cost(error: np.ndarray, columns: np.ndarray, rows: np.ndarray) -> float:
    """Of an error (groups, outputs, inputs), literally."""
    return sum(float(f @ np.einsum("oi,ij,oj->o", e, h, e)) for e, h, f in zip(error, columns, rows, strict=True))


def test_one_group_is_exact() -> None:
    columns, rows = moments(1, 6, 4)
    error = np.random.default_rng(1).standard_normal((1, 4, 6))
    found = matrix_curvature(columns, rows, (4, 6))
    assert found.error(error[0]) == pytest.approx(cost(error, columns, rows), rel=1e-6)
    assert np.array_equal(matrix_curvature(columns, rows, (4, 3, 1, 2)).columns, columns[0])


def test_experts_keep_their_energies_and_share_one_matrix() -> None:
    columns, rows = moments(8, 5, 4)
    assert matrix_shape((8, 4, 5)) == (8, 20)  # the view cuts through the outputs
    columns, rows = moments(3, 24, 8)
    found = matrix_curvature(columns, rows, (3, 8, 24))
    assert found.shape == (24, 24)
    for k in range(3):
        part = found.rows[8 * k : 8 * k + 8].sum() * found.diagonal.sum()
        assert part == pytest.approx(rows[k].sum() * np.trace(columns[k]), rel=1e-5)
    alike = matrix_curvature(np.repeat(columns[:1], 3, axis=0), rows, (3, 8, 24))
    error = np.random.default_rng(1).standard_normal((3, 8, 24))
    expected = cost(error, columns[[0, 0, 0]], rows)
    assert alike.error(error.reshape(24, 24)) == pytest.approx(expected, rel=1e-5)


@pytest.mark.parametrize(("shape", "transposed"), [((6, 4), True), ((2, 6, 4), True), ((8, 4, 5), False)])
def test_other_layouts_keep_the_mean_cost_of_rows_and_columns(shape: tuple[int, ...], transposed: bool) -> None:
    groups = shape[0] if len(shape) == 3 else 1
    inputs, outputs = (shape[-2], shape[-1]) if transposed else (shape[-1], shape[-2])
    columns, rows = moments(groups, inputs, outputs)
    literal = rows[:, :, None] * np.diagonal(columns, axis1=1, axis2=2)[:, None, :]
    literal = (literal.swapaxes(1, 2) if transposed else literal).reshape(matrix_shape(shape))
    found = matrix_curvature(columns, rows, shape, transposed).importance()
    assert found.sum(axis=0) == pytest.approx(literal.sum(axis=0), rel=1e-5)
    assert found.sum(axis=1) == pytest.approx(literal.sum(axis=1), rel=1e-5)
    if groups == 1:
        assert found == pytest.approx(literal, rel=1e-5)


def test_diagonals_and_nothing() -> None:
    columns, rows = moments(2, 24, 12)
    diagonals = np.ascontiguousarray(np.diagonal(columns, axis1=1, axis2=2))
    full, thin = (matrix_curvature(part, rows, (2, 12, 24)) for part in (columns, diagonals))
    assert thin.columns.ndim == 1
    assert thin.importance() == pytest.approx(full.importance(), rel=1e-5)
    assert not matrix_curvature(0 * columns, rows, (2, 12, 24)).rows.any()
    assert not matrix_curvature(columns, 0 * rows, (2, 24, 12), transposed=True).importance().any()
