"""Rows: codes packed lowest bit first, every row from a byte on so that it decodes alone; sums in order."""

from __future__ import annotations

import numpy as np

__all__ = ["pack_rows", "row_squares", "unpack_rows"]


def pack_rows(codes: np.ndarray, width: int) -> np.ndarray:
    """Codes uint16[rows, count] of `width` bits, 1 … 16 -> bytes uint8[rows, ⌈count · width / 8⌉]."""
    bits = (codes[:, :, None] >> np.arange(width, dtype=np.uint16)) & np.uint16(1)
    flat = bits.astype(np.uint8).reshape(codes.shape[0], codes.shape[1] * width)
    return np.packbits(flat, axis=1, bitorder="little")


def unpack_rows(packed: np.ndarray, count: int, width: int) -> np.ndarray:
    """The inverse: bytes uint8[rows, ⌈count · width / 8⌉] -> codes uint16[rows, count]."""
    bits = np.unpackbits(packed, axis=1, count=count * width, bitorder="little")
    weights = np.uint16(1) << np.arange(width, dtype=np.uint16)
    planes = bits.reshape(packed.shape[0], count, width).astype(np.uint16) * weights
    codes: np.ndarray = np.bitwise_or.reduce(planes, axis=2)
    return codes


def row_squares(matrix: np.ndarray, squares: np.ndarray) -> None:
    """Overwrite squares float64[rows] with the sum of squares of each row, one column after the other."""
    squares[:] = 0
    for j in range(matrix.shape[1]):
        squares += np.square(matrix[:, j], dtype=np.float64)
