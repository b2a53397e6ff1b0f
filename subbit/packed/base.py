"""What a packed matrix is."""

from __future__ import annotations

from typing import Protocol

import numpy as np

__all__ = ["Packed"]


class Packed(Protocol):
    """A weight matrix that can be multiplied by."""

    @property
    def rows(self) -> int:
        """Numbers that come out."""
        ...

    @property
    def columns(self) -> int:
        """Numbers that go in."""
        ...

    @property
    def nbytes(self) -> int:
        """Bytes of memory that it holds."""
        ...

    def multiply(self, x: np.ndarray) -> np.ndarray:
        """x · Wᵀ: float32 (n, columns) → float32 (n, rows)."""
        ...

    def multiply_back(self, y: np.ndarray) -> np.ndarray:
        """y · W, for gradients: float32 (n, rows) → float32 (n, columns)."""
        ...
