"""From importance or curvature to what errors cost, and to the steps that answer it."""

from __future__ import annotations

import numpy as np

from subbit.codecs.scalar.density import column_means, inverse, row_means
from subbit.codecs.scalar.quantizer import Costs
from subbit.codecs.scalar.steps import StepCodes
from subbit.curvature import Curvature, feedback

__all__ = ["costs_of"]


def costs_of(importance: np.ndarray | Curvature | None, rows: int, cols: int) -> tuple[Costs, StepCodes]:
    """Costs of squared errors and relative steps of a matrix; without importance all are equal.

    An importance (broadcasts to the matrix) counts as the product of a share of its row and one of its column. A
    curvature also brings feedback, where it knows how the inputs move together.
    """
    if importance is None:
        return Costs.equal(rows, cols), StepCodes.equal(rows, cols)
    if not isinstance(importance, Curvature):
        costs = Costs(*_shares(np.broadcast_to(importance, (rows, cols)).astype(np.float64)))
    elif importance.columns.ndim == 1:
        costs = Costs(importance.rows.astype(np.float64), importance.diagonal)
    else:
        back = feedback(importance.columns)
        costs = Costs(importance.rows.astype(np.float64), back.variances, back)
    return costs, StepCodes.for_costs(costs.rows, costs.columns)


def _shares(importance: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    rows, columns = np.ones(importance.shape[0]), np.ones(importance.shape[1])
    for _ in range(2):
        rows = row_means(importance, inverse(columns))
        columns = column_means(importance, inverse(rows))
    return rows, columns
