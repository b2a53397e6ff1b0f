"""Signed integers as non-negative ones: 0, -1, 1, -2, 2 … become 0, 1, 2, 3, 4 …"""

from __future__ import annotations

import numpy as np

__all__ = ["fold", "unfold"]


def fold(values: np.ndarray) -> np.ndarray:
    """Signed int64 to non-negative int64."""
    folded: np.ndarray = np.where(values < 0, -2 * values - 1, 2 * values)
    return folded


def unfold(folded: np.ndarray) -> np.ndarray:
    """Back to signed int64."""
    values: np.ndarray = np.where(folded % 2 == 1, -((folded + 1) // 2), folded // 2)
    return values
