"""Scalar quantization with density contexts: statistics, rate-aware quantization, reconstruction.

A weight of magnitude `a` (in steps) becomes a level; each context (a class of row × column density) has its
own cost and its own centre per level. The context of weight (i, j) is
`clip(((row_codes[i] + column_codes[j]) >> 1) - base, 0, contexts - 1)`.
"""

from __future__ import annotations

import numpy as np

__all__ = ["column_sums", "contexts", "fill", "quantize", "row_means"]


def row_means(matrix: np.ndarray, column_weights: np.ndarray, out: np.ndarray) -> None:
    """out[i] = Σ_j |matrix[i, j]|·column_weights[j] / columns, added in order of j in float64."""
    total = np.zeros(matrix.shape[0])
    for j in range(matrix.shape[1]):
        total += np.abs(matrix[:, j]).astype(np.float64) * column_weights[j]
    out[:] = total / matrix.shape[1]


def column_sums(matrix: np.ndarray, row_weights: np.ndarray, out: np.ndarray) -> None:
    """out[j] = Σ_i |matrix[i, j]|·row_weights[i], added in order of i in float64."""
    out[:] = 0.0
    for i in range(matrix.shape[0]):
        out += np.abs(matrix[i]).astype(np.float64) * row_weights[i]


def contexts(row_codes: np.ndarray, column_codes: np.ndarray, base: int, count: int, out: np.ndarray) -> None:
    """Write the context of every weight of a block of rows."""
    out[:] = np.clip(((row_codes[:, None] + column_codes[None, :]) >> 1) - base, 0, count - 1)


def quantize(
    matrix: np.ndarray, inverse: np.ndarray, group: int, row_codes: np.ndarray, column_codes: np.ndarray, base: int,
    costs: np.ndarray, centers: np.ndarray, signed: bool, symbols: np.ndarray, histogram: np.ndarray, sums: np.ndarray,
) -> tuple[float, float, int]:  # fmt: skip
    """Choose for every weight the level of least squared error plus cost, among 0 and the three nearest.

    `inverse[i, j // group]` is 1 / step. Adds to `histogram` (contexts × symbols) and `sums` (contexts × levels,
    of magnitudes in steps). A signed symbol is 2·level - (weight > 0), an unsigned one the level. Returns the
    squared error in weights, in steps, and how many weights lie beyond the last level.
    """
    count, levels = costs.shape
    cls = np.empty(matrix.shape, np.int64)
    contexts(row_codes, column_codes, base, count, cls)
    inv = np.repeat(inverse, group, axis=1)[:, : matrix.shape[1]]
    a = np.abs(matrix) * inv
    top = np.float32(levels - 1)
    near = np.minimum(a, top).astype(np.int64)
    best = np.zeros(matrix.shape, np.int64)
    cost = (a - centers[cls, 0]) * (a - centers[cls, 0]) + costs[cls, 0]
    for shift in (-1, 0, 1):
        level = near + shift
        valid = (level >= 1) & (level < levels)
        safe = np.where(valid, level, 0)
        d = a - centers[cls, safe]
        candidate = d * d + costs[cls, safe]
        better = valid & (candidate < cost)
        best[better], cost[better] = level[better], candidate[better]
    far = a >= top + np.float32(0.5)
    best[far] = levels - 1
    symbol = np.where((best > 0) & signed, 2 * best - (matrix > 0), best)
    symbols[:] = symbol
    width = histogram.shape[1]
    histogram += np.bincount((cls * width + symbol).ravel(), minlength=count * width).reshape(count, width)
    kept = np.where(far, np.float32(levels - 1), a).astype(np.float64)
    sums += np.bincount((cls * levels + best).ravel(), kept.ravel(), count * levels).reshape(count, levels)
    d64 = np.where(far, 0.0, (a - centers[cls, best]).astype(np.float64))
    squares = d64 * d64
    unit = 1.0 / inv.astype(np.float64)
    in_weights = np.cumsum((squares * unit * unit).ravel())[-1] if squares.size else 0.0
    in_steps = np.cumsum(squares.ravel())[-1] if squares.size else 0.0
    return float(in_weights), float(in_steps), int(far.sum())


def fill(
    symbols: np.ndarray, cls: np.ndarray, values: np.ndarray, steps: np.ndarray, group: int, out: np.ndarray
) -> None:
    """out[i, j] = values[context, symbol]·steps[i, j // group]: one multiply and one rounding."""
    unit = np.repeat(steps, group, axis=1)[:, : out.shape[1]]
    np.multiply(values[cls, symbols], unit, out=out)
