"""Which rows and columns get scales and rates of their own, and what offset spends a budget."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from subbit.codecs.scalar.density import column_means, inverse, quarter_octaves, row_means
from subbit.codecs.trellis.classes import HIGHEST, UNIT, Classes, half_octaves, rates_of
from subbit.codecs.trellis.model import tile_rows
from subbit.coders.adaptive import stored_size

__all__ = ["Allotment", "Codes", "allot", "best", "lost", "one_rate", "scale_codes", "side_bits"]

_ROUNDS = 2
_HALF = UNIT // 2
_RANGE = 64
_SIDE_SHARE = 32  # of a budget, what scales may cost beside walks of one rate
_WORTH_SHARE = 4  # and what scales and rates may cost where importance tells them apart

Codes = tuple[np.ndarray, np.ndarray]


@dataclass(frozen=True)
class Allotment:
    """Classes, the bytes that codes and walks take, and the share of the energy that ideal walks lose."""

    classes: Classes
    size: int
    predicted: float


def scale_codes(matrix: np.ndarray) -> Codes:
    """Mean magnitudes of rows and columns, each relative to the other, in quarter octaves above the smallest."""
    row_scale, column_scale = np.ones(matrix.shape[0]), np.ones(matrix.shape[1])
    for _ in range(_ROUNDS):
        row_scale = row_means(matrix, inverse(column_scale))
        column_scale = column_means(matrix, inverse(row_scale))
    return _floored(quarter_octaves(row_scale)), _floored(quarter_octaves(column_scale))


def one_rate(codes: Codes, rate: float, group: int = 1) -> Classes:
    """The same rate for all; scales of their own only where they cost little beside it."""
    cheap = 8 * stored_size(*codes) <= side_bits(rate, codes[0].size, codes[1].size)
    scales = codes if cheap else (np.zeros_like(codes[0]), np.zeros_like(codes[1]))
    return Classes(scales, None, int(rate * UNIT), group)


def side_bits(rate: float, rows: int, cols: int) -> int:
    """What scales may cost beside walks of one rate, in bits."""
    return int(rate * rows * cols / _SIDE_SHARE)


def allot(codes: Codes, worth: Codes | None, budget: int) -> Classes:
    """The classes that promise the least error for `budget` bytes; `worth` are codes of the roots of importance."""
    if worth is None:
        return best(codes, budget).classes
    if stored_size(*codes, *worth) < budget // _WORTH_SHARE:
        return _spend(codes, (codes[0] + worth[0], codes[1] + worth[1]), budget).classes
    return best((codes[0] * 0, codes[1] * 0), budget).classes


def best(codes: Codes, budget: int) -> Allotment:
    """The least loss for `budget` bytes, of scales for rows and columns, for either, and for none."""
    none = np.zeros_like(codes[0]), np.zeros_like(codes[1])
    sides = [codes, (codes[0], none[1]), (none[0], codes[1])]
    options = [_spend(side, side, budget) for side in sides if any(part.any() for part in side)]
    return min([_spend(none, None, budget), *options], key=lambda option: option.predicted)


def lost(rate: int) -> float:
    """4^−rate, the share of energy that a rate in 2^-16 bit loses at best."""
    return math.ldexp(_LOST[rate % _HALF], -(rate // _HALF))


def _spend(scales: Codes, rates: Codes | None, budget: int) -> Allotment:
    """The largest offset that fits, by bisection."""
    low, high = (0, HIGHEST) if rates is None else (-(UNIT // 4) * int(rates[0].max() + rates[1].max()), HIGHEST)
    own = () if rates is None or rates is scales else rates
    side = stored_size(np.array([2 * max(-low, high)]), *scales, *own)
    tile_bytes = _tile_bytes(scales[0].size, scales[1].size, rates)
    while low < high:
        middle = (low + high + 1) >> 1
        if side + tile_bytes(middle) <= budget:
            low = middle
        else:
            high = middle - 1
    return Allotment(Classes(scales, rates, low), side + tile_bytes(low), _predict(scales, rates, low))


def _tile_bytes(rows: int, cols: int, rates: Codes | None) -> Callable[[int], int]:
    """What walks take at an offset."""
    row_codes, column_codes = (np.zeros(size, np.int64) for size in (rows, cols)) if rates is None else rates
    counts = np.bincount(column_codes)
    kinds, of = np.unique(row_codes, return_inverse=True)
    codes, starts = kinds[:, None] + np.arange(counts.size), np.arange(0, rows, tile_rows(cols))

    def size(offset: int) -> int:
        sums = (rates_of(codes, offset).astype(np.int64) @ counts)[of]
        bits = -(-np.add.reduceat(sums, starts) // UNIT)
        return (int(bits.sum()) + 7) // 8

    return size


def _predict(scales: Codes, rates: Codes | None, offset: int) -> float:
    """The share of energy that is lost if every class has that of its scale."""
    if rates is None:
        return lost(int(rates_of(np.zeros(1, np.int64), offset)[0]))
    counts = np.convolve(np.bincount(scales[0]), np.bincount(scales[1]))
    k = np.arange(counts.size)
    energies = (counts * half_octaves(k)).tolist()
    shares = [lost(rate) for rate in rates_of(k, offset).tolist()]
    left = sum(energy * share for energy, share in zip(energies, shares, strict=True))
    return float(left / sum(energies))


def _floored(codes: np.ndarray) -> np.ndarray:
    """Codes from 0 on; what lies 16 octaves below the largest counts as that."""
    codes = np.maximum(codes, int(codes.max()) - _RANGE)
    return codes - int(codes.min())


def _lost_table() -> list[float]:
    """2^(−n/32768) for n = 0 … 32767 by roots and products alone."""
    root = 0.5
    for _ in range(15):
        root = math.sqrt(root)
    table: list[float] = np.multiply.accumulate(np.full(_HALF, root)).tolist()
    return [1.0, *table[:-1]]


_LOST = _lost_table()
