"""Numba form of the scalar quantizer; see `plain.scalar` for the definitions."""

from __future__ import annotations

import numpy as np

from subbit.kernels.compiled.jit import jit

__all__ = ["column_sums", "quantize", "quantize_with_feedback", "row_means"]


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
def _level(a, costs, centers):  # type: ignore[no-untyped-def]
    levels = costs.size
    near = int(min(a, np.float32(levels - 1)))
    d = a - centers[0]
    best = 0
    cost = d * d + costs[0]
    for level in range(max(near - 1, 1), min(near + 2, levels)):
        e = a - centers[level]
        candidate = e * e + costs[level]
        if candidate < cost:
            best = level
            cost = candidate
    return best


@jit
def quantize(  # type: ignore[no-untyped-def]
    matrix, inverse_rows, inverse_columns, row_costs, column_costs, row_codes, column_codes, base, costs, centers,
    signed, symbols, histogram, sums,
):  # fmt: skip
    count, levels = costs.shape
    top = np.float32(levels - 1)
    weighted = 0.0
    in_steps = 0.0
    beyond = 0
    for i in range(matrix.shape[0]):
        for j in range(matrix.shape[1]):
            w = matrix[i, j]
            inv = inverse_rows[i] * inverse_columns[j]
            a = abs(w) * inv
            c = min(max(((row_codes[i] + column_codes[j]) >> 1) - base, 0), count - 1)
            kept = np.float64(a)
            if a >= top + np.float32(0.5):
                best = levels - 1
                kept = np.float64(top)
                beyond += 1
            else:
                best = _level(a, costs[c], centers[c])
                f = np.float64(a - centers[c, best])
                unit = 1.0 / np.float64(inv)
                weighted += f * f * unit * unit * row_costs[i] * column_costs[j]
                in_steps += f * f
            symbol = best
            if signed and best > 0:
                symbol = 2 * best - (1 if w > 0 else 0)
            symbols[i, j] = symbol
            histogram[c, symbol] += 1
            sums[c, best] += kept
    return weighted, in_steps, beyond


@jit
def _make_up(target, error, factor):  # type: ignore[no-untyped-def]
    """Add one error after the other; eight at a time stay in registers."""
    count = factor.size
    for k in range(0, count - count % 8, 8):
        a, b, c, d = factor[k], factor[k + 1], factor[k + 2], factor[k + 3]
        e, f, g, h = factor[k + 4], factor[k + 5], factor[k + 6], factor[k + 7]
        for i in range(target.size):
            t = target[i] + error[k, i] * a
            t = t + error[k + 1, i] * b
            t = t + error[k + 2, i] * c
            t = t + error[k + 3, i] * d
            t = t + error[k + 4, i] * e
            t = t + error[k + 5, i] * f
            t = t + error[k + 6, i] * g
            target[i] = t + error[k + 7, i] * h
    for k in range(count - count % 8, count):
        for i in range(target.size):
            target[i] += error[k, i] * factor[k]


@jit
def quantize_with_feedback(  # type: ignore[no-untyped-def]
    matrix, order, factor, inverse_rows, inverse_columns, row_costs, column_costs, row_codes, column_codes, base,
    costs, centers, signed, targets, symbols, histogram, sums,
):  # fmt: skip
    rows, cols = matrix.shape
    count, levels = costs.shape
    top = np.float32(levels - 1)
    weighted = 0.0
    in_steps = 0.0
    beyond = 0
    target = np.empty((cols, rows), np.float32)
    error = np.empty((cols, rows), np.float32)
    for k in range(cols):
        for i in range(rows):
            target[k, i] = matrix[i, order[k]]
    for start in range(0, cols, 32):
        stop = min(start + 32, cols)
        for k in range(start, stop):
            j = order[k]
            for i in range(rows):
                t = target[k, i]
                inv = inverse_rows[i] * inverse_columns[j]
                a = abs(t) * inv if signed else max(t, np.float32(0)) * inv
                c = min(max(((row_codes[i] + column_codes[j]) >> 1) - base, 0), count - 1)
                kept = np.float64(a)
                if a >= top + np.float32(0.5):
                    best = levels - 1
                    kept = np.float64(top)
                    beyond += 1
                    value = np.rint(a)
                else:
                    best = _level(a, costs[c], centers[c])
                    value = centers[c, best]
                    f = np.float64(a - value)
                    unit = 1.0 / np.float64(inv)
                    weighted += f * f * unit * unit * row_costs[i] * column_costs[j]
                    in_steps += f * f
                symbol = best
                if signed and best > 0:
                    symbol = 2 * best - (1 if t > 0 else 0)
                symbols[i, j] = symbol
                targets[i, j] = t
                histogram[c, symbol] += 1
                sums[c, best] += kept
                rebuilt = value / inv
                error[k, i] = matrix[i, j] - (-rebuilt if signed and t < 0 else rebuilt)
            for later in range(k + 1, stop):
                f32 = factor[later, k]
                for i in range(rows):
                    target[later, i] += error[k, i] * f32
        for later in range(stop, cols):
            _make_up(target[later], error[start:stop], factor[later, start:stop])
    return weighted, in_steps, beyond
