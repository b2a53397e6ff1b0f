"""Non-negative scales as float16 under one common power of two, so that any float32 range fits.

Layout: the multiplier as float32, then the values as float16. 16 bits a scale and 32 for all.
"""

from __future__ import annotations

import numpy as np

from subbit.errors import SubbitError

__all__ = ["halves_size", "pack_halves", "unpack_halves"]


def halves_size(count: int) -> int:
    """Bytes of `count` packed scales."""
    return 4 + 2 * count


def pack_halves(values: np.ndarray, upward: bool = False) -> np.ndarray:
    """Write finite float32 values ≥ 0 as bytes uint8[halves_size(count)].

    The largest value keeps 11 bits, one 2^40 times smaller becomes 0. Rounds to nearest even, or
    `upward` to the next value that is not smaller (then only 0 becomes 0).
    """
    _, exponent = np.frexp(values.max(initial=0))
    multiplier = np.ldexp(np.float32(1), max(int(exponent) - 15, -149))
    halves = (values / multiplier).astype("<f2")
    if upward:
        halves.view("<u2")[halves.astype(np.float32) * multiplier < values] += 1
    return np.concatenate([np.array([multiplier], "<f4").view(np.uint8), halves.view(np.uint8)])


def unpack_halves(stored: np.ndarray, count: int) -> np.ndarray:
    """Read back `count` float32 scales from `halves_size(count)` bytes.

    Raises :class:`SubbitError`, kind "section", for a negative or infinite scale or NaN.
    """
    multiplier = np.frombuffer(stored[:4].tobytes(), "<f4")
    with np.errstate(over="ignore", invalid="ignore"):
        values: np.ndarray = np.frombuffer(stored[4:].tobytes(), "<f2", count).astype(np.float32) * multiplier
    if count and not (values.min() >= 0 and values.max() < np.inf):
        raise SubbitError("a scale is negative or not finite", kind="section")
    return values
