"""From a matrix and a budget to a head: how many latents, and their scales in whole numbers."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np

from subbit.bits.roots import FINEST
from subbit.codecs.factors.fitting import Side, fit, settle, start_scales
from subbit.codecs.factors.grid import Grid, nearest, power
from subbit.codecs.factors.layout import LATENT_LIMIT, SUM_LIMIT, Head, latent_bytes, scale_bytes
from subbit.codecs.factors.weighting import separable
from subbit.curvature import Curvature

__all__ = ["encode_head", "regain_head", "smallest_bytes"]

_LATENT_BYTES = 1.6  # what an entropy-coded latent scale of 12 bits takes


def smallest_bytes(rows: int, cols: int) -> int:
    """An upper bound on the bytes of one latent with its scales, each of which takes less than three bytes."""
    return latent_bytes(rows, cols) + 3 * (rows + cols) + 40


def encode_head(matrix: np.ndarray, size: int, importance: np.ndarray | Curvature | None) -> Head:
    """Factors of a float32 matrix in at most `size` bytes, or a single latent where these hold none."""
    rows, cols = matrix.shape
    exponent = int(np.frexp(max(matrix.max(), -matrix.min()))[1])
    matrix = np.ldexp(matrix, -exponent)
    a, b = start_scales(matrix)
    grid = Grid(nearest(a)[0], nearest(b)[0])
    fixed = len(scale_bytes(np.float32(1), np.empty(0, np.int64), grid))
    rank = max(1, int((size - fixed) / (latent_bytes(rows, cols) + _LATENT_BYTES)))
    left, right, latents = fit(matrix, rank, *separable(importance, rows, cols))
    while True:
        head = _rounded(matrix, left, right, latents, exponent)
        if latents.size == 1 or sum(len(part) for part in head.to_sections().values()) <= size:
            return head
        kept = np.arange(latents.size) != np.argmin(latents)
        left, right = (replace(side, codes=side.codes[:, kept].copy()) for side in (left, right))
        latents = latents[kept]


def regain_head(head: Head, rows: np.ndarray, columns: np.ndarray) -> Head:
    """The head of W_ij · rows_i · columns_j, with gains > 0 rounded to 2^(1/32)."""
    row_codes, lowest_row = nearest(head.grid.row_steps * rows, FINEST)
    col_codes, lowest_col = nearest(head.grid.column_steps * columns, FINEST)
    grid = Grid(row_codes, col_codes, FINEST)
    unit = float(head.unit) * power(lowest_row + lowest_col, FINEST)
    return replace(head, grid=grid, unit=_in_float32(unit, grid, head.latents))


def _rounded(matrix: np.ndarray, left: Side, right: Side, latents: np.ndarray, exponent: int) -> Head:
    """Round column scales and latents, fit the rows to them once more, round the row scales."""
    columns, lowest = nearest(right.scales)
    factor = min(LATENT_LIMIT, SUM_LIMIT // latents.size) / max(latents.max(), 1e-300)
    whole = np.rint(latents * factor)
    left = Side(left.codes.copy(), left.scales * (power(lowest) / factor), left.weights)
    right = replace(right, scales=Grid(columns, columns).column_steps.astype(np.float64))
    settle(matrix, left, right, whole, 0.0)
    rows, lowest = nearest(left.scales)
    grid = Grid(rows, columns)
    unit = _in_float32(math.ldexp(power(lowest), exponent), grid, whole)
    return Head(_packed(left.codes), _packed(right.codes), whole.astype(np.int64), grid, unit)


def _packed(codes: np.ndarray) -> np.ndarray:
    """Sign bits, one latent after the other."""
    return np.packbits(codes.T < 0, axis=1, bitorder="little")


def _in_float32(unit: float, grid: Grid, latents: np.ndarray) -> np.float32:
    """The unit, or the largest with which no weight leaves float32."""
    most = float(grid.row_steps.max()) * float(grid.column_steps.max()) * sum(latents.tolist())
    return np.float32(min(unit, 2.0**127 / most) if most > 0 else 1)
