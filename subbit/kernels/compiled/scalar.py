"""Numba form of the scalar quantizer; see `plain.scalar` for the definitions."""

from __future__ import annotations

import numpy as np

from subbit.kernels.compiled.jit import jit

__all__ = ["column_sums", "contexts", "fill", "quantize", "row_means"]


@jit
def row_means(matrix, column_weights, out):  # type: ignore[no-untyped-def]
    for i in range(matrix.shape[0]):
        total = 0.0
        for j in range(matrix.shape[1]):
            total += np.float64(abs(matrix[i, j])) * column_weights[j]
        out[i] = total / matrix.shape[1]


@jit
def column_sums(matrix, row_weights, out):  # type: ignore[no-untyped-def]
    out[:] = 0.0
    for i in range(matrix.shape[0]):
        for j in range(matrix.shape[1]):
            out[j] += np.float64(abs(matrix[i, j])) * row_weights[i]


@jit
def contexts(row_codes, column_codes, base, count, out):  # type: ignore[no-untyped-def]
    for i in range(out.shape[0]):
        for j in range(out.shape[1]):
            out[i, j] = min(max(((row_codes[i] + column_codes[j]) >> 1) - base, 0), count - 1)


@jit
def quantize(matrix, inverse, group, row_codes, column_codes, base, costs, centers, signed, symbols, histogram, sums):  # type: ignore[no-untyped-def]
    count, levels = costs.shape
    top = np.float32(levels - 1)
    in_weights = 0.0
    in_steps = 0.0
    beyond = 0
    for i in range(matrix.shape[0]):
        for start in range(0, matrix.shape[1], group):
            inv = inverse[i, start // group]
            unit = 1.0 / np.float64(inv)
            for j in range(start, min(start + group, matrix.shape[1])):
                w = matrix[i, j]
                a = abs(w) * inv
                c = min(max(((row_codes[i] + column_codes[j]) >> 1) - base, 0), count - 1)
                near = int(min(a, top))
                d = a - centers[c, 0]
                best = 0
                cost = d * d + costs[c, 0]
                for level in range(max(near - 1, 1), min(near + 2, levels)):
                    e = a - centers[c, level]
                    candidate = e * e + costs[c, level]
                    if candidate < cost:
                        best = level
                        cost = candidate
                kept = np.float64(a)
                if a >= top + np.float32(0.5):
                    best = levels - 1
                    kept = np.float64(top)
                    beyond += 1
                else:
                    f = np.float64(a - centers[c, best])
                    in_weights += f * f * unit * unit
                    in_steps += f * f
                symbol = best
                if signed and best > 0:
                    symbol = 2 * best - (1 if w > 0 else 0)
                symbols[i, j] = symbol
                histogram[c, symbol] += 1
                sums[c, best] += kept
    return in_weights, in_steps, beyond


@jit
def fill(symbols, cls, values, steps, group, out):  # type: ignore[no-untyped-def]
    for i in range(out.shape[0]):
        for start in range(0, out.shape[1], group):
            unit = steps[i, start // group]
            for j in range(start, min(start + group, out.shape[1])):
                out[i, j] = values[cls[i, j], symbols[i, j]] * unit
