"""Numba form of the groups; see `plain.groups` for the definition."""

from __future__ import annotations

import numpy as np

from subbit.kernels.compiled.jit import jit

__all__ = ["keep_one"]


@jit
def keep_one(places, size, matrix):  # type: ignore[no-untyped-def]
    for i in range(matrix.shape[0]):
        for g in range(places.shape[1]):
            start = g * size
            stop = min(start + size, matrix.shape[1])
            kept = start + np.int64(places[i, g])
            value = matrix[i, kept]
            for j in range(start, stop):
                matrix[i, j] = np.float32(0)
            matrix[i, kept] = value
