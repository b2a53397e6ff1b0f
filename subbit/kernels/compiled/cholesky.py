"""Numba form of the pivoted Cholesky factorization; see `plain.cholesky` for the definition.

The update of what remains waits for a panel of columns, so that it runs in cache; each element still gets the
same differences in the same order.
"""

from __future__ import annotations

import numpy as np

from subbit.kernels.compiled.jit import jit

__all__ = ["pivoted"]


@jit
def pivoted(matrix, order, variances, lower):  # type: ignore[no-untyped-def]
    n = matrix.shape[0]
    panel = 48
    columns = np.empty((panel, n))  # of the panel: rows of L, and what they were before the division
    raw = np.empty((panel, n))
    left = np.empty(n)
    for i in range(n):
        order[i] = i
        left[i] = matrix[i, i]
    lower[:] = 0
    for start in range(0, n, panel):
        stop = min(start + panel, n)
        for k in range(start, stop):
            best = k
            for i in range(k + 1, n):
                if left[i] > left[best]:
                    best = i
            if best != k:
                _swap(matrix, order, left, lower, columns, raw, k, best, k - start)
            variances[k] = max(left[k], 1e-300)
            t = k - start
            for i in range(k + 1, n):
                raw[t, i] = matrix[k, i]
            for s in range(t):
                factor = columns[s, k]
                for i in range(k + 1, n):
                    raw[t, i] -= factor * raw[s, i]
            lower[k, k] = 1
            for i in range(k + 1, n):
                columns[t, i] = raw[t, i] / variances[k]
                lower[i, k] = columns[t, i]
                left[i] -= columns[t, i] * raw[t, i]
        for i in range(stop, n):
            for t in range(stop - start):
                factor = columns[t, i]
                for j in range(stop, n):
                    matrix[i, j] -= factor * raw[t, j]


@jit
def _swap(matrix, order, left, lower, columns, raw, k, best, t):  # type: ignore[no-untyped-def]
    n = matrix.shape[0]
    order[k], order[best] = order[best], order[k]
    left[k], left[best] = left[best], left[k]
    for i in range(n):
        matrix[k, i], matrix[best, i] = matrix[best, i], matrix[k, i]
    for i in range(n):
        matrix[i, k], matrix[i, best] = matrix[i, best], matrix[i, k]
    for s in range(k):
        lower[k, s], lower[best, s] = lower[best, s], lower[k, s]
    for s in range(t):
        columns[s, k], columns[s, best] = columns[s, best], columns[s, k]
        raw[s, k], raw[s, best] = raw[s, best], raw[s, k]
