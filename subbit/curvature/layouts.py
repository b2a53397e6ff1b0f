"""What a layer reads and writes, laid over the matrix that codecs see of its weight."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np

from subbit.curvature.record import Curvature
from subbit.records import Shape, matrix_shape

__all__ = ["matrix_curvature"]


def matrix_curvature(columns: np.ndarray, rows: np.ndarray, shape: Shape, transposed: bool = False) -> Curvature:
    """The :class:`Curvature` of a weight's matrix view (`records.matrix_shape`) from the moments of its layer.

    `columns` (groups, inputs, inputs), or (groups, inputs) for diagonals alone, are the second moments of what each
    group of the layer reads; `rows` (groups, outputs) weigh its outputs. Experts and grouped convolutions have several
    groups, all else one. `transposed` says that the weight is stored as (inputs, outputs), as in GPT-2.

    With one group and the usual layout nothing is lost. Several groups over one another share one matrix of columns:
    their mean, weighed by their outputs, and rows that give each group its own energy back. Where the matrix view cuts
    through the inputs, or is transposed, the diagonals alone are kept, as the product of row and column means.
    """
    groups, outputs = rows.shape
    if not transposed and matrix_shape(shape) == (groups * outputs, columns.shape[1]):
        return _stacked(columns, rows)
    diagonal = np.diagonal(columns, axis1=1, axis2=2) if columns.ndim == 3 else columns
    cost = rows[:, :, None].astype(np.float64) * diagonal[:, None, :]
    matrix = (cost.swapaxes(1, 2) if transposed else cost).reshape(matrix_shape(shape))
    over_rows, over_cols = _added(matrix), _added(matrix.T)
    return Curvature(over_rows / (_total(over_rows) or 1.0), over_cols)


def _stacked(columns: np.ndarray, rows: np.ndarray) -> Curvature:
    if len(columns) == 1:
        return Curvature(columns[0], rows[0])
    share = np.array([_total(part) for part in rows])
    whole = _total(share)
    share = share / whole if whole > 0 else np.full(len(rows), 1 / len(rows))
    pooled = _added(weight * part.astype(np.float64) for weight, part in zip(share, columns, strict=True))
    scale = np.array([_energy(part) for part in columns]) / (_energy(pooled) or 1.0)
    return Curvature(pooled, (rows * scale[:, None]).reshape(-1))


def _energy(columns: np.ndarray) -> float:
    return _total(np.diagonal(columns) if columns.ndim == 2 else columns)


def _total(values: np.ndarray) -> float:
    """The sum in float64, one after the other: the same on every machine, as `np.sum` is not."""
    return float(np.cumsum(values, dtype=np.float64)[-1])


def _added(parts: Iterable[np.ndarray]) -> np.ndarray:
    """The sum of arrays of one shape in float64, in their order."""
    total: np.ndarray | None = None
    for part in parts:
        total = part.astype(np.float64) if total is None else np.add(total, part, out=total)
    assert total is not None
    return total
