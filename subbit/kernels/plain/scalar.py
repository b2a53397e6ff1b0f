"""Scalar quantization with density contexts: statistics, rate-aware quantization, reconstruction.

A weight of magnitude `a` (in steps) becomes a level; each context (a class of row × column density) has its
own cost and its own centre per level. The context of weight (i, j) is
`clip(((row_codes[i] + column_codes[j]) >> 1) - base, 0, contexts - 1)`.
"""

from __future__ import annotations

import numpy as np

__all__ = ["column_sums", "quantize", "quantize_with_feedback", "row_means"]


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


def _contexts(row_codes: np.ndarray, column_codes: np.ndarray, base: int, count: int, out: np.ndarray) -> None:
    """Write the context of every weight of a block of rows."""
    out[:] = np.clip(((row_codes[:, None] + column_codes[None, :]) >> 1) - base, 0, count - 1)


def quantize(
    matrix: np.ndarray, inverse_rows: np.ndarray, inverse_columns: np.ndarray, row_costs: np.ndarray,
    column_costs: np.ndarray, row_codes: np.ndarray, column_codes: np.ndarray, base: int, costs: np.ndarray,
    centers: np.ndarray, signed: bool, symbols: np.ndarray, histogram: np.ndarray, sums: np.ndarray,
) -> tuple[float, float, int]:  # fmt: skip
    """Choose for every weight the level of least squared error plus cost, among 0 and the three nearest.

    The step of weight (i, j) is 1 / (inverse_rows[i]·inverse_columns[j]). Adds to `histogram` (contexts × symbols) and
    `sums` (contexts × levels, of magnitudes in steps). A signed symbol is 2·level - (weight > 0), an unsigned one the
    level. Returns the squared error weighted by row_costs[i]·column_costs[j], the squared error in steps, and how many
    weights lie beyond the last level.
    """
    cls = np.empty(matrix.shape, np.int64)
    _contexts(row_codes, column_codes, base, len(costs), cls)
    inv = inverse_rows[:, None] * inverse_columns[None, :]
    a = np.abs(matrix) * inv
    best, far = _levels(a, cls, costs, centers)
    symbol = np.where((best > 0) & signed, 2 * best - (matrix > 0), best)
    symbols[:] = symbol
    np.add.at(histogram, (cls, symbol), 1)
    np.add.at(sums, (cls, best), np.where(far, np.float32(costs.shape[1] - 1), a).astype(np.float64))
    d = np.where(far, 0.0, (a - centers[cls, best]).astype(np.float64))
    weighted = _weighted(d, inv, row_costs[:, None], column_costs[None, :])
    return _total(weighted), _total(d * d), int(far.sum())


def quantize_with_feedback(
    matrix: np.ndarray, order: np.ndarray, factor: np.ndarray, inverse_rows: np.ndarray, inverse_columns: np.ndarray,
    row_costs: np.ndarray, column_costs: np.ndarray, row_codes: np.ndarray, column_codes: np.ndarray, base: int,
    costs: np.ndarray, centers: np.ndarray, signed: bool, targets: np.ndarray, symbols: np.ndarray,
    histogram: np.ndarray, sums: np.ndarray,
) -> tuple[float, float, int]:  # fmt: skip
    """The same column by column in `order`: what a column loses is made up by the columns that come after it.

    factor[k, l], k > l, is what a unit of error in the l-th column of the order adds to the target of the k-th.
    Writes `targets` (rows × columns), what was quantized; a negative target of unsigned levels counts as 0. Of all
    rows together; a caller that wants a fixed result gives the same rows.
    """
    target, error = matrix[:, order].T.copy(), np.empty(matrix.shape[::-1], np.float32)
    weighted, in_steps, beyond = 0.0, 0.0, 0
    for k, j in enumerate(order):
        cls = np.clip(((row_codes + column_codes[j]) >> 1) - base, 0, len(costs) - 1).astype(np.int64)
        t, inv = target[k], inverse_rows * inverse_columns[j]
        a = np.abs(t) * inv if signed else np.maximum(t, np.float32(0)) * inv
        best, far = _levels(a, cls, costs, centers)
        value = np.where(far, np.rint(a), centers[cls, best])
        symbol = np.where((best > 0) & signed, 2 * best - (t > 0), best)
        symbols[:, j], targets[:, j] = symbol, t
        np.add.at(histogram, (cls, symbol), 1)
        np.add.at(sums, (cls, best), np.where(far, np.float32(costs.shape[1] - 1), a).astype(np.float64))
        d = np.where(far, 0.0, (a - value).astype(np.float64))
        weighted = _total(_weighted(d, inv, row_costs, column_costs[j]), weighted)
        in_steps, beyond = _total(d * d, in_steps), beyond + int(far.sum())
        rebuilt = value / inv
        error[k] = matrix[:, j] - (np.where(t < 0, -rebuilt, rebuilt) if signed else rebuilt)
        target[k + 1 :] += error[k] * factor[k + 1 :, k, None]
    return weighted, in_steps, beyond


def _levels(a: np.ndarray, cls: np.ndarray, costs: np.ndarray, centers: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The level of magnitudes `a` in steps, and which lie beyond the last one."""
    levels = costs.shape[1]
    top = np.float32(levels - 1)
    near = np.minimum(a, top).astype(np.int64)
    best = np.zeros(a.shape, np.int64)
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
    return best, far


def _weighted(d: np.ndarray, inv: np.ndarray, row_costs: np.ndarray, column_costs: np.ndarray | float) -> np.ndarray:
    unit = 1.0 / inv.astype(np.float64)
    found: np.ndarray = d * d * unit * unit * row_costs * column_costs
    return found


def _total(values: np.ndarray, start: float = 0.0) -> float:
    """One value after the other added to `start`."""
    return float(np.cumsum(np.concatenate([[start], values.ravel()]))[-1])
