"""What scale and rate every weight has, told by small integers of its row and its column.

The scale codes of a row and a column add up to k: the weight's standard deviation is step · 2^(k/4). Rate codes
add up to q, a quarter of a bit each: the rate is offset + q / 4. Where q is k, that is reverse water-filling: the
same squared error everywhere, and no bits for what is smaller than that. Source: Cover and Thomas, "Elements of
Information Theory", 10.3.3.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from subbit.errors import SubbitError

__all__ = ["HIGHEST", "LOWEST", "UNIT", "Classes", "Grid", "grouped", "half_octaves", "rates_of"]

UNIT = 1 << 16
"""Parts of a bit that rates are counted in."""
LOWEST, HIGHEST = UNIT // 8, 8 * UNIT
"""Rates below the lowest are 0, so that no more than eight weights share a state; higher ones are the highest."""
_QUARTER = UNIT // 4


@dataclass(frozen=True, eq=False)
class Grid:
    """Scales and centres float32[classes, cols] and rates int32; `of` int32[rows] is the class of every row."""

    of: np.ndarray
    scales: np.ndarray
    centers: np.ndarray
    rates: np.ndarray

    def row_rates(self) -> np.ndarray:
        """The sum of the rates of every row, int64."""
        sums: np.ndarray = self.rates.sum(axis=1, dtype=np.int64)[self.of]
        return sums


@dataclass(frozen=True, eq=False)
class Classes:
    """Codes of rows and columns, int64 and not negative, and what turns their sums into scales and rates.

    `offset` counts in 2^-16 bit. Without rate codes (None) all weights have the rate `offset`, and `group` neighbours
    in a row take their bits together, before the first of them.
    """

    scales: tuple[np.ndarray, np.ndarray]
    rates: tuple[np.ndarray, np.ndarray] | None
    offset: int
    group: int = 1

    def grid(self, step: np.float32, loss: np.float32, bias: np.float32) -> Grid:
        """Scales step · √(2^(k/2) · (1 − loss · 2^(−q/2))) and centres bias · 2^(k/4), rounded to float32 once.

        `loss` is the share of a weight's energy that a walk loses at q = 0: that much smaller is the best copy. Raises
        :class:`SubbitError`, kind "section", where one of them is not finite.
        """
        (row_k, row_q), of = self._kinds(0)
        (col_k, col_q), place = self._kinds(1)
        k = row_k[:, None] + col_k
        q = np.zeros_like(k) if self.rates is None else row_q[:, None] + col_q
        energy = half_octaves(k)
        kept = energy * np.maximum(1 - np.float64(loss) * half_octaves(-q), 0)
        with np.errstate(over="ignore", invalid="ignore"):
            scales = (np.float64(step) * np.sqrt(kept)).astype(np.float32)
            centers = (np.float64(bias) * np.sqrt(energy)).astype(np.float32)
        if not (np.isfinite(scales).all() and np.isfinite(centers).all()):
            raise SubbitError("a scale is not finite", kind="section")
        scales, centers, rates = (np.take(part, place, axis=1) for part in (scales, centers, rates_of(q, self.offset)))
        return Grid(of.astype(np.int32), scales, centers, grouped(rates, self.group))

    def _kinds(self, side: int) -> tuple[np.ndarray, np.ndarray]:
        """The different pairs of scale and rate code of all rows (or columns), and which of them each one has."""
        pairs = self.scales[side] * UNIT + (self.rates or self.scales)[side]
        kinds, of = np.unique(pairs, return_inverse=True)
        return np.stack(np.divmod(kinds, UNIT)), of.reshape(-1)


def rates_of(q: np.ndarray, offset: int | np.ndarray) -> np.ndarray:
    """The rate that rate codes stand for at an offset, or at each of several, int32."""
    rates: np.ndarray = np.clip(offset + _QUARTER * q, 0, HIGHEST).astype(np.int32)
    rates[rates < LOWEST] = 0
    return rates


def grouped(rates: np.ndarray, group: int) -> np.ndarray:
    """Equal rates, charged to the first of each group: the others keep the least rate that is not 0."""
    if group == 1 or not rates.any():
        return rates
    charged = np.ones_like(rates)
    charged[:, ::group] = group * rates[:, ::group] - (group - 1)
    return charged


def half_octaves(k: np.ndarray) -> np.ndarray:
    """2^(k/2) for integers, float64, the same on every machine."""
    powers: np.ndarray = np.ldexp(np.where(k & 1, math.sqrt(2.0), 1.0), k >> 1)
    return powers
