"""One weight of every group of neighbouring columns."""

from __future__ import annotations

import numpy as np

__all__ = ["keep_one"]


def keep_one(places: np.ndarray, size: int, matrix: np.ndarray) -> None:
    """Clear matrix float32[rows, cols], in place, but for column `places[i, g]` of each group g of `size` columns.

    `places` is uint16[rows, ⌈cols / size⌉], below the number of columns that its group has.
    """
    keep = np.zeros(matrix.shape, bool)
    np.put_along_axis(keep, places + size * np.arange(places.shape[1]), True, axis=1)
    np.copyto(matrix, np.float32(0), where=~keep)
