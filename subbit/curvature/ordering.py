"""In which order columns are coded, and how the later ones make up for what the earlier ones lost."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from subbit.errors import SubbitError
from subbit.kernels import kernel

__all__ = ["DAMPING", "Feedback", "feedback"]

DAMPING = 0.2
"""Of a column's variance, added to it: correlations count a little less than the statistics say.

Relative to the column's own, because a few massive activations would drown all others in a share of the mean.
"""
_FLOOR = 1e-9


@dataclass(frozen=True, eq=False)
class Feedback:
    """H = Lᵀ D L over columns in coding order: an error in one column moves the targets of those behind it.

    `order`: columns as they are coded, the one of least conditional variance first, so that the largest corrects all
    others. `factor[k, l]`, k > l in that order, float32: what a unit of error in the l-th adds to the target of the
    k-th; ones on the diagonal. `variances` (float64, by column): what an error of the target costs. Then tr(E H Eᵀ) is
    the sum of squared target errors × variances. Source: LDLQ of QuIP, arXiv 2307.13304, in pivoted order.
    """

    order: np.ndarray
    factor: np.ndarray
    variances: np.ndarray


def feedback(columns: np.ndarray, damping: float = DAMPING) -> Feedback:
    """Factor second moments (cols, cols); raises :class:`SubbitError` (kind "curvature") where all are zero."""
    n = len(columns)
    work = np.ascontiguousarray(columns, dtype=np.float64).copy()
    mean = sum(np.diagonal(work).tolist()) / n
    if not mean > 0:
        hint = "calibrate with text that reaches this layer"
        raise SubbitError("the inputs have no energy", kind="curvature", hint=hint)
    diagonal = np.diag_indices(n)
    work[diagonal] = work[diagonal] * (1 + damping) + _FLOOR * mean
    order, pivots, lower = np.empty(n, np.intp), np.empty(n), np.empty((n, n), np.float32)
    kernel("cholesky").pivoted(work, order, pivots, lower)
    variances = np.empty(n)
    variances[order] = pivots
    factor = np.ascontiguousarray(lower[::-1, ::-1].T)
    return Feedback(np.ascontiguousarray(order[::-1]), factor, variances)
