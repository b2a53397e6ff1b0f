"""Numba form of the pivoted Cholesky factorization; see `plain.cholesky` for the definition.

The update of what remains waits for a panel of columns, so that it runs in cache; each element still gets the
same differences in the same order. Of the symmetric matrix only the upper triangle is read and written.
"""

from __future__ import annotations

import numpy as np

from subbit.kernels.compiled.jit import jit

__all__ = ["pivoted"]


@jit
def pivoted(matrix, order, variances, lower):  # type: ignore[no-untyped-def]
    n = matrix.shape[0]
    panel, tile = 48, 256
    columns = np.empty((panel, n))  # of the panel: what the products are taken of
    row = np.empty(n)
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
                _swap(matrix, order, left, lower, columns, k, best, k - start)
            variances[k] = max(left[k], 1e-300)
            t = k - start
            for i in range(k + 1, n):
                row[i] = matrix[k, i]
            _subtract(row[k + 1 :], columns[:t, k], columns[:t, k + 1 :])
            root = np.sqrt(variances[k])
            lower[k, k] = 1
            for i in range(k + 1, n):
                lower[i, k] = row[i] / variances[k]
                columns[t, i] = row[i] / root
                left[i] -= columns[t, i] * columns[t, i]
        for first in range(stop, n, tile):
            last = min(first + tile, n)
            for i in range(stop, last):
                begin = max(i, first)
                _subtract(matrix[i, begin:last], columns[: stop - start, i], columns[: stop - start, begin:last])


@jit
def _subtract(row, factors, columns):  # type: ignore[no-untyped-def]
    """One product after the other; four at a time stay in registers."""
    count = factors.size
    for t in range(0, count - count % 4, 4):
        a, b, c, d = factors[t], factors[t + 1], factors[t + 2], factors[t + 3]
        for j in range(row.size):
            x = row[j] - a * columns[t, j]
            x = x - b * columns[t + 1, j]
            x = x - c * columns[t + 2, j]
            row[j] = x - d * columns[t + 3, j]
    for t in range(count - count % 4, count):
        for j in range(row.size):
            row[j] -= factors[t] * columns[t, j]


@jit
def _swap(matrix, order, left, lower, columns, k, best, t):  # type: ignore[no-untyped-def]
    n = matrix.shape[0]
    order[k], order[best] = order[best], order[k]
    left[k], left[best] = left[best], left[k]
    for i in range(k + 1, best):
        matrix[k, i], matrix[i, best] = matrix[i, best], matrix[k, i]
    for i in range(best + 1, n):
        matrix[k, i], matrix[best, i] = matrix[best, i], matrix[k, i]
    for s in range(k):
        lower[k, s], lower[best, s] = lower[best, s], lower[k, s]
    for s in range(t):
        columns[s, k], columns[s, best] = columns[s, best], columns[s, k]
