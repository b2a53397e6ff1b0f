"""Where a sign plane is wrong: the places of the flips, entropy-coded."""

from __future__ import annotations

import numpy as np

from subbit.bits.packing import pack_signs, popcount, unpack_signs
from subbit.coders import integers, varints
from subbit.errors import SubbitError
from subbit.kernels import kernel
from subbit.records import Buffer
from subbit.signs.base import clear_tail, word_count

__all__ = ["bits", "count", "decode", "encode"]


def bits(rows: int, cols: int) -> int:
    """An upper bound on the stored bits: one a weight and a byte, as a plain mask."""
    return 8 * (1 + (rows * cols + 7) // 8)


def encode(wrong: np.ndarray, rows: int, cols: int) -> bytes:
    """Write down the set bits of the sign words where plane and weights disagree; b"" if there are none.

    The flips are counted (varint), then the gaps between them, row after row, go through `coders.integers`:
    close to H(p) bits a weight at flip rate p, because gaps of independent flips are geometric. Where a plain
    mask is shorter, it follows a count of 0.
    """
    wrong = wrong.copy()
    clear_tail(wrong, cols)
    gaps = kernel("sign_planes").gaps(wrong, cols)
    if not gaps.size:
        return b""
    coded = varints.write([gaps.size]) + bytes(integers.encode(gaps))
    if 8 * len(coded) <= rows * cols:
        return coded
    mask = varints.write([0]) + np.packbits(unpack_signs(wrong, cols), bitorder="little").tobytes()
    return min(coded, mask, key=len)


def decode(data: Buffer, rows: int, cols: int) -> np.ndarray:
    """Sign words uint64[rows, ceil(cols / 64)] with a set bit for every flip, to be XORed into the plane.

    Raises :class:`SubbitError` (kind "section") for a flip outside the matrix or damaged data.
    """
    out = np.zeros((rows, word_count(cols)), np.uint64)
    section = memoryview(data).cast("B")
    if not len(section):
        return out
    count, offset = varints.read(section, 0)
    if count == 0:
        return _plain_mask(section[offset:], rows, cols)
    if count > rows * cols:
        raise SubbitError(f"{count} flips in {rows} x {cols} weights", kind="section")
    gaps = integers.decode(section[offset:], count, rows * cols)
    if not kernel("sign_planes").mask(gaps, cols, out):
        raise SubbitError(f"a flip lies outside the {rows} x {cols} weights", kind="section")
    return out


def count(data: Buffer, rows: int, cols: int) -> int:
    """How many flips a section holds, which it says itself unless it is a plain mask; :class:`SubbitError` as above."""
    section = memoryview(data).cast("B")
    if not len(section):
        return 0
    found, offset = varints.read(section, 0)
    return found or popcount(_plain_mask(section[offset:], rows, cols))


def _plain_mask(section: memoryview, rows: int, cols: int) -> np.ndarray:
    if len(section) != (rows * cols + 7) // 8:
        raise SubbitError(f"a mask of {len(section)} bytes for {rows} x {cols} weights", kind="section")
    mask = np.unpackbits(np.frombuffer(section, np.uint8), bitorder="little")
    if mask[rows * cols :].any():
        raise SubbitError("bits behind the last weight of a mask are set", kind="section")
    return pack_signs(mask[: rows * cols].astype(bool).reshape(rows, cols))
