"""Products with the values of even walks along a trellis, which are looked up and forgotten."""

from __future__ import annotations

import numpy as np

from subbit.kernels.plain.trellis import even_values

__all__ = ["multiply"]


def multiply(
    packed: np.ndarray, places: np.ndarray, done: np.ndarray, table: np.ndarray, bits: int, x: np.ndarray,
    scales: np.ndarray, first: int, stop: int, y: np.ndarray,
) -> None:  # fmt: skip
    """y[:, i] = scales[i] · Σ over columns of whole · x[:, column], for rows first … stop - 1.

    Wholes are the int16 of the table that row i looks up from bit places[i] on, which is bit done[i] of its tile (both
    int64); see `trellis.decode_even` for table and bits. x float32[1, 4 or 8, columns], zeros up to a multiple of 32;
    y float32[rows of x that count, rows]. Twins agree but for rounding.
    """
    own = slice(first, stop)
    wholes = even_values(packed, places[own], done[own], table, bits, x.shape[1]) * np.float32(1024)
    y[:, own] = (x @ wholes.T)[: len(y)] * scales[own]
