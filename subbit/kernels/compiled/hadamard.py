"""Numba form of the Walsh–Hadamard transforms; see `plain.hadamard` for the definition."""

from __future__ import annotations

import numpy as np

from subbit.kernels.compiled.jit import jit

__all__ = ["across", "down"]

_PANEL = 32


@jit
def across(matrix, scale):  # type: ignore[no-untyped-def]
    size = matrix.shape[1]
    for i in range(matrix.shape[0]):
        row = matrix[i]
        h = 1
        while h < size:
            for start in range(0, size, 2 * h):
                low, high = row[start : start + h], row[start + h : start + 2 * h]
                for j in range(h):
                    a, b = low[j], high[j]
                    low[j] = a + b
                    high[j] = a - b
            h *= 2
        for j in range(size):
            row[j] *= scale


@jit
def down(matrix, scale):  # type: ignore[no-untyped-def]
    size, cols = matrix.shape
    panel = np.zeros((size, _PANEL), np.float32)
    for first in range(0, cols, _PANEL):
        width = min(_PANEL, cols - first)
        for i in range(size):
            for j in range(width):
                panel[i, j] = matrix[i, first + j]
        h = 1
        while h < size:
            for start in range(0, size, 2 * h):
                for i in range(start, start + h):
                    low, high = panel[i], panel[i + h]
                    for j in range(_PANEL):
                        a, b = low[j], high[j]
                        low[j] = a + b
                        high[j] = a - b
            h *= 2
        for i in range(size):
            for j in range(width):
                matrix[i, first + j] = panel[i, j] * scale
