"""The value that a state of the trellis stands for: a hash, in integers.

Two parities of the state choose the quantile's top bits, a hash the others: neighbouring walks then differ in
sign and size where they part and where they meet. A quotient of integers turns the quantile into a value; its shape
is that of a Gaussian with thin tails, of one with heavy tails, or of half a Gaussian's magnitudes.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache

import numpy as np

__all__ = ["HALF", "HEAVY", "NORMAL", "PHASES", "Shape", "values", "windows"]

PHASES = 8
_FIRST = (0x4ECD, 0x0A7D, 0x0C70, 0x5D77, 0xD5BF, 0xC1FA, 0x6851, 0x7F57)
_SECOND = (0x1342, 0x043B, 0xA2F2, 0x1B01, 0x6B94, 0x8781, 0x3AF1, 0xC929)
_MIX = ((16, 0x7FEB352D), (15, 0x846CA68B))


@dataclass(frozen=True)
class Shape:
    """q · (a - q) div (c · (d - q)) for the odd numbers q below 2^16, less `mean`; with both signs, or without."""

    a: int
    c: int
    d: int
    mean: int
    signed: bool


NORMAL = Shape(67830, 45, 66565, 0, signed=True)
HEAVY = Shape(70124, 61, 66191, 0, signed=True)
HALF = Shape(196608, 225, 73400, 960, signed=False)


@cache
def values(state_bits: int, shape: Shape) -> np.ndarray:
    """float32[phases, 2**state_bits], not writeable, of about unit variance."""
    table = _wholes(state_bits, shape).astype(np.float32) / np.float32(1024)
    table.flags.writeable = False
    return table


@cache
def _wholes(state_bits: int, shape: Shape) -> np.ndarray:
    """The same in 1/1024, which are whole numbers: int16."""
    states = np.arange(1 << state_bits, dtype=np.uint32)
    table = np.empty((PHASES, states.size), np.int16)
    for phase in range(PHASES):
        low = _hash(states + np.uint32(phase << 16))
        first = _parity(states & _taps(_FIRST[phase], state_bits))
        second = _parity(states & _taps(_SECOND[phase], state_bits))
        if shape.signed:
            quantile = second << 14 | low >> 18
        else:
            quantile = first << 14 | second << 13 | low >> 19
        q = 2 * quantile.astype(np.int64) + 1
        whole = q * (shape.a - q) // (shape.c * (shape.d - q)) - shape.mean
        if shape.signed:
            whole = np.where(first == 1, -whole, whole)
        table[phase] = whole
    table.flags.writeable = False
    return table


@cache
def windows(state_bits: int, shape: Shape, weights: int, bits: int) -> tuple[np.ndarray, int]:
    """What a look-up gives in a walk where every so many weights take so many bits: int16[windows, weights].

    And the bits it goes on by. A window is a state, or where each weight takes one bit two that follow each other, so
    that look-ups are fewer.
    """
    table = _wholes(state_bits, shape)[:weights].T
    if weights > 1:
        return np.ascontiguousarray(table), bits
    both = np.arange(2 << state_bits)
    return np.concatenate([table[both & ((1 << state_bits) - 1)], table[both >> 1]], axis=1), 2


def _hash(x: np.ndarray) -> np.ndarray:
    """32 bits that look random: Wellons' "lowbias32"."""
    for shift, odd in _MIX:
        x = (x ^ (x >> np.uint32(shift))) * np.uint32(odd)
    mixed: np.ndarray = x ^ (x >> np.uint32(16))
    return mixed


def _taps(mask: int, state_bits: int) -> np.uint32:
    """The bits of the state that a parity is taken of: the newest and the oldest are always among them."""
    return np.uint32(mask & ((1 << state_bits) - 1) | 1 << (state_bits - 1) | 1)


def _parity(x: np.ndarray) -> np.ndarray:
    for shift in (8, 4, 2, 1):
        x = x ^ (x >> np.uint32(shift))
    return x & np.uint32(1)
