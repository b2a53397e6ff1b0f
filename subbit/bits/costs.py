"""What a symbol of a given frequency costs, computed in integers, so that it is the same on every machine."""

from __future__ import annotations

from functools import cache

import numpy as np

__all__ = ["UNIT", "bit_costs", "prices"]

_PRECISION = 12
_FRACTION = 24
UNIT = 1 << _FRACTION
"""How many units :func:`prices` counts a bit as."""


def bit_costs(frequencies: np.ndarray) -> np.ndarray:
    """12 - log2(frequency) as float32, for frequencies in 0 … 4096; a frequency of 0 costs as much as 1."""
    costs: np.ndarray = (prices()[frequencies] / UNIT).astype(np.float32)
    return costs


@cache
def prices(precision: int = _PRECISION) -> np.ndarray:
    """P - log2 of 0 … 2^P (0 as 1) in units of 2^-24 bit, int64, bit by bit by squaring the mantissa; P is 12 … 16."""
    numbers = np.arange((1 << precision) + 1, dtype=np.uint64)
    logs = np.array([max(number.bit_length() - 1, 0) for number in range(numbers.size)], np.int64)
    mantissa = numbers << (31 - logs).astype(np.uint64)
    for _ in range(_FRACTION):
        square = mantissa * mantissa
        carry = square >> np.uint64(63)
        mantissa = square >> (np.uint64(31) + carry)
        logs = (logs << 1) | carry.astype(np.int64)
    table: np.ndarray = (precision << _FRACTION) - logs
    table.flags.writeable = False
    return table
