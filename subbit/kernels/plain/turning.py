"""Products with angle signs × codes: for a block of columns, a table says what every code adds to a row's sum.

Rows are sorted by their angle. From one row to the next the signs of a block change in few columns, so the table
follows by one update a change, and then serves all rows up to the next.
"""

from __future__ import annotations

import numpy as np

__all__ = ["multiply"]


def multiply(
    codes: np.ndarray, entries: np.ndarray, negative: np.ndarray, at: np.ndarray, turned: np.ndarray,
    order: np.ndarray, scales: np.ndarray, x: np.ndarray, first: int, stop: int, y: np.ndarray,
) -> None:  # fmt: skip
    """y[:, order[i]] = scales[i] · Σ over columns j of sign · entry's component · x[:, j], for rows first ≤ i < stop.

    Codes uint8[blocks, rows]; entries float32[dim, entries], entries a multiple of 64; negative bool[blocks, dim]:
    signs of row 0. Column turned[block, e] of a block changes its sign at row at[block, e] ≥ 1, in rising order. x and
    y float32, at most 16 rows; columns of x past its end are nothing. Twins agree but for rounding.
    """
    dim = entries.shape[0]
    sums = np.zeros((codes.shape[1], len(x)), np.float32)
    for block, row_codes in enumerate(codes):
        signs = np.where(negative[block], -1.0, 1.0).astype(np.float32)
        part = np.zeros((dim, len(x)), np.float32)
        part[: max(x.shape[1] - block * dim, 0)] = x[:, block * dim : (block + 1) * dim].T
        ends = [*at[block].tolist(), codes.shape[1]]
        for event, end in enumerate(ends):
            start = max(first, ends[event - 1] if event else 0)
            if start < min(end, stop):
                rows = slice(start, min(end, stop))
                sums[rows] += ((entries * signs[:, None]).T @ part)[row_codes[rows]]
            if event < at.shape[1]:
                signs[turned[block, event]] *= -1
    own = slice(first, stop)
    y[:, order[own]] = (sums[own] * scales[own, None]).T
