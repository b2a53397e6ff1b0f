"""Which rows and columns get scales and rates of their own."""

from __future__ import annotations

import numpy as np

from subbit.codecs.scalar.density import column_means, inverse, quarter_octaves, row_means
from subbit.codecs.trellis.classes import UNIT, Classes
from subbit.codecs.trellis.spending import Allotment, Codes, Option
from subbit.coders.adaptive import stored_size

__all__ = ["Options", "allot", "one_rate", "scale_codes", "side_bits"]

_ROUNDS = 2
_RANGE = 64
_SIDE_SHARE = 32  # of a budget, what scales may cost beside walks of one rate
_WORTH_SHARE = 4  # and what scales and rates may cost where importance tells them apart


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
        return Options(codes).best(budget).classes
    if stored_size(*codes, *worth) < budget // _WORTH_SHARE:
        return Option(codes, (codes[0] + worth[0], codes[1] + worth[1])).within(budget).classes
    return Option((codes[0] * 0, codes[1] * 0), None).within(budget).classes


class Options:
    """The ways to spend a budget: scales for rows and columns, for either, and for none."""

    def __init__(self, codes: Codes) -> None:
        none = np.zeros_like(codes[0]), np.zeros_like(codes[1])
        sides = [codes, (codes[0], none[1]), (none[0], codes[1])]
        self._all = [Option(none, None), *(Option(side, side) for side in sides if any(part.any() for part in side))]

    def best(self, budget: int) -> Allotment:
        """The least loss for so many bytes."""
        return min((option.within(budget) for option in self._all), key=lambda option: option.predicted)


def _floored(codes: np.ndarray) -> np.ndarray:
    """Codes from 0 on; what lies 16 octaves below the largest counts as that."""
    codes = np.maximum(codes, int(codes.max()) - _RANGE)
    return codes - int(codes.min())
