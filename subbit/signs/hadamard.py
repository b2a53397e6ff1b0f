"""A corner of a Walsh–Hadamard matrix with randomly flipped rows and columns."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from subbit.bits.packing import pack_signs
from subbit.kernels import kernel
from subbit.signs.base import Seeded, clear_tail, word_count

__all__ = ["ODD_1", "ODD_2", "Hadamard", "scatter", "walsh_order"]

ODD_1 = 0x9E3779B97F4A7C15
ODD_2 = 0xBF58476D1CE4E5B9


@dataclass(frozen=True)
class Hadamard(Seeded):
    """Parity of (i' & j') with random signs for rows and columns; costs 0 bits, decodes in word-wide XORs.

    B = 2^k is the smallest power of two that covers the shorter side (at least 64); i' and j' are the
    indexes within their block of B, scattered over the block (`scatter`). Scattering matters where B is
    larger than the side: with plain indexes rows i and i + 512 of a 576-wide matrix agree, up to sign, in
    89 % of their places; scattered, no pair stands out from random signs. The longer side runs through
    several blocks; each has its own row (or column) signs, so that no block repeats another.
    """

    kind: ClassVar[str] = "hadamard"
    seed: int = 0

    def render(self, rows: int, cols: int, start: int, stop: int, out: np.ndarray) -> None:
        """XOR the bit planes of the scattered column indexes that the scattered row index selects."""
        order = walsh_order(rows, cols)
        size = 1 << order
        row = np.arange(start, stop, dtype=np.int64)
        col = np.arange(cols, dtype=np.int64)
        out[:] = self._signs(rows, cols, size, start, stop)
        col_codes = scatter(col % size, order)
        planes = pack_signs((col_codes & (np.uint64(1) << np.arange(order, dtype=np.uint64))[:, None]) > 0)
        kernel("sign_planes").walsh(scatter(row % size, order), planes, out)
        clear_tail(out, cols)

    def _signs(self, rows: int, cols: int, size: int, start: int, stop: int) -> np.ndarray:
        """Row signs, a bit for each block of columns, XOR column signs, a word for 64 of a block of rows."""
        words, width = kernel("counter_hash").words, word_count(cols)
        across, first, last = -(-cols // size), start // size, -(-stop // size)
        row_words = words(self.seed, 0, start * across, (stop - start) * across).reshape(stop - start, across)
        col_words = words(self.seed, 1, first * width, (last - first) * width).reshape(last - first, width)
        flips = np.uint64(0) - (row_words & np.uint64(1))
        out: np.ndarray = flips[:, np.arange(width) * 64 // size]
        out ^= col_words[np.arange(start, stop) // size - first]
        return out


def walsh_order(rows: int, cols: int) -> int:
    """The k of the 2^k × 2^k Walsh–Hadamard matrix that covers the shorter side, at least 6."""
    return max(6, (min(rows, cols) - 1).bit_length())


def scatter(index: np.ndarray, order: int) -> np.ndarray:
    """Permute 0 … 2^order − 1: multiply by an odd constant, XOR the top half into the low one, and again."""
    low, half = np.uint64((1 << order) - 1), np.uint64((order + 1) // 2)
    code = index.astype(np.uint64)
    for odd in (ODD_1, ODD_2):
        code = (code * np.uint64(odd)) & low
        code ^= code >> half
    return code
