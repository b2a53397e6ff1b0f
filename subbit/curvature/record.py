"""The curvature of one weight matrix: second moments of what it reads, importance of what it writes."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from subbit.errors import SubbitError

__all__ = ["Curvature"]


@dataclass(frozen=True, eq=False)
class Curvature:
    """Weighs an error matrix E (rows × cols) as Σ_i rows_i · (E H Eᵀ)_ii: the loss that it adds, to second order.

    `columns` is H: the second moments E[x xᵀ] of the layer's inputs, (cols, cols), symmetric; or its diagonal alone,
    (cols,). `rows` is the mean squared gradient of each output, (rows,). Both float32 or float64. Raises
    :class:`SubbitError` (kind "curvature") for other shapes, for NaN or infinity, and for negative diagonals.
    Source: the Kronecker-factored Fisher of Martens and Grosse, arXiv 1503.05671, with diagonal outputs.
    """

    columns: np.ndarray
    rows: np.ndarray

    def __post_init__(self) -> None:
        square = self.columns.ndim == 2 and self.columns.shape[0] == self.columns.shape[1]
        if self.rows.ndim != 1 or not (self.columns.ndim == 1 or square):
            shapes = f"columns {self.columns.shape}, rows {self.rows.shape}"
            raise SubbitError(f"curvature of shapes {shapes}", kind="curvature")
        for name, part in (("columns", self.columns), ("rows", self.rows)):
            diagonal = np.diagonal(part) if part.ndim == 2 else part
            if not np.isfinite(part).all() or (diagonal < 0).any():
                raise SubbitError(f"the {name} of a curvature are not finite or negative", kind="curvature")

    @property
    def shape(self) -> tuple[int, int]:
        """The matrix that it belongs to: rows × cols."""
        return self.rows.shape[0], self.columns.shape[0]

    @property
    def diagonal(self) -> np.ndarray:
        """The mean square of every input, float64 (cols,)."""
        found = np.diagonal(self.columns) if self.columns.ndim == 2 else self.columns
        return found.astype(np.float64)

    def importance(self) -> np.ndarray:
        """What a squared error in each weight costs where errors do not meet: rows × diagonal, float64."""
        found: np.ndarray = self.rows.astype(np.float64)[:, None] * self.diagonal[None, :]
        return found

    def error(self, difference: np.ndarray) -> float:
        """The cost of an error matrix, for reports; by matrix products, so equal to rounding only."""
        e = difference.astype(np.float64)
        per_row = ((e @ self.columns) * e).sum(axis=1) if self.columns.ndim == 2 else (e * e) @ self.diagonal
        return float(per_row @ self.rows)
