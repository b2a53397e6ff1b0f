"""Sign words: what every sign plane is rendered to, and what is done with them.

A sign word holds 64 signs of one row, lowest bit first; 1 is negative. A plane of rows × cols is
uint64[rows, ceil(cols / 64)], and the bits past the last column are 0.
"""

from __future__ import annotations

import numpy as np

__all__ = ["angle", "disagreement", "factors", "gaps", "lowrank", "mask", "places", "turn", "walsh"]


def angle(row_angles: np.ndarray, col_angles: np.ndarray, out: np.ndarray) -> None:
    """`out` = top bit of row + column angle, both uint16 with 65536 steps to the turn."""
    _pack((row_angles[:, None] + col_angles[None, :]) >> np.uint16(15), out)


def factors(words: np.ndarray) -> np.ndarray:
    """The set bits of each word less 32, int32."""
    return _popcount(words).astype(np.int32) - np.int32(32)


def lowrank(row_factors: np.ndarray, col_factors: np.ndarray, out: np.ndarray) -> None:
    """`out` = 1 where the product of int32 factors, (rows, rank) by (rank, cols), is below zero."""
    product = np.zeros((len(row_factors), col_factors.shape[1]), np.int32)
    for k in range(len(col_factors)):
        product += row_factors[:, k, None] * col_factors[k]
    _pack((product < 0).astype(np.uint8), out)


def walsh(codes: np.ndarray, planes: np.ndarray, out: np.ndarray) -> None:
    """XOR row t of `planes` (uint64[bits, words]) into row i of `out` for every set bit t of `codes[i]`."""
    for t in range(len(planes)):
        chosen = (codes >> np.uint64(t)) & np.uint64(1)
        out ^= (np.uint64(0) - chosen)[:, None] & planes[t]


def disagreement(a: np.ndarray, b: np.ndarray) -> int:
    """How many bits differ between two sign planes of the same shape."""
    return int(_popcount(a ^ b).sum())


def gaps(words: np.ndarray, cols: int) -> np.ndarray:
    """How many clear bits stand before each set one, row after row without the padding: int64[set bits]."""
    places = np.flatnonzero(_unpack(words, cols))
    return np.diff(places, prepend=-1).astype(np.int64) - 1


def places(words: np.ndarray, cols: int) -> tuple[np.ndarray, np.ndarray]:
    """The columns of the set bits, row after row, int32, and how many each row has, int64."""
    bits = _unpack(words, cols)
    return np.nonzero(bits)[1].astype(np.int32), bits.sum(axis=1, dtype=np.int64)


def turn(words: np.ndarray, columns: np.ndarray, starts: np.ndarray) -> None:
    """Turn over the bits of row i at columns[starts[i]:starts[i + 1]], in place."""
    for i, row in enumerate(words):
        found = columns[starts[i] : starts[i + 1]]
        np.bitwise_xor.at(row, found >> 6, np.uint64(1) << (found & 63).astype(np.uint64))


def mask(gaps: np.ndarray, cols: int, out: np.ndarray) -> bool:
    """Set the bits of the cleared plane `out` that `gaps` names; False if one lies behind the last row."""
    places = np.cumsum(gaps + 1) - 1
    if places.size and (places.min() < 0 or places.max() >= len(out) * cols):
        return False
    row, col = np.divmod(places, cols or 1)
    bits = np.uint64(1) << (col & 63).astype(np.uint64)
    np.bitwise_or.at(out, (row, col >> 6), bits)
    return True


def _pack(bits: np.ndarray, out: np.ndarray) -> None:
    padded = np.zeros((len(out), out.shape[1] * 8), np.uint8)
    packed = np.packbits(bits.astype(np.uint8), axis=1, bitorder="little")
    padded[:, : packed.shape[1]] = packed
    out[:] = padded.view("<u8")


def _unpack(words: np.ndarray, cols: int) -> np.ndarray:
    octets = np.ascontiguousarray(words, "<u8").view(np.uint8)
    return np.unpackbits(octets, axis=1, count=cols, bitorder="little")


def _popcount(x: np.ndarray) -> np.ndarray:
    x = x - ((x >> np.uint64(1)) & np.uint64(0x5555555555555555))
    x = (x & np.uint64(0x3333333333333333)) + ((x >> np.uint64(2)) & np.uint64(0x3333333333333333))
    x = (x + (x >> np.uint64(4))) & np.uint64(0x0F0F0F0F0F0F0F0F)
    return (x * np.uint64(0x0101010101010101)) >> np.uint64(56)
