"""Numba form of the rows; see `plain.rows` for the definition."""

from __future__ import annotations

import numpy as np

from subbit.kernels.compiled.jit import jit

__all__ = ["pack_rows", "row_squares", "unpack_rows"]


_LINE = 64


def on_lines(out: np.ndarray) -> bool:
    """Whether all rows start at a line of the cache, as stores that stream want it."""
    return not (out.ctypes.data | out.strides[0]) % _LINE


@jit
def address(array, i):  # type: ignore[no-untyped-def]
    # Of a row, and no slice: counting references would wait for all stores under way.
    return np.intp(array.ctypes.data) + i * array.strides[0]


@jit
def read_code(row, position, width):  # type: ignore[no-untyped-def]
    bit = position * width
    byte = bit >> 3
    word = np.uint32(row[byte])
    last = (bit + width - 1) >> 3
    if last > byte:
        word |= np.uint32(row[byte + 1]) << np.uint32(8)
    if last > byte + 1:
        word |= np.uint32(row[byte + 2]) << np.uint32(16)
    return (word >> np.uint32(bit & 7)) & np.uint32((1 << width) - 1)


@jit
def _pack(codes, width, out):  # type: ignore[no-untyped-def]
    for i in range(codes.shape[0]):
        word = np.uint32(0)
        held = 0
        at = 0
        for j in range(codes.shape[1]):
            word |= np.uint32(codes[i, j]) << np.uint32(held)
            held += width
            while held >= 8:
                out[i, at] = np.uint8(word & np.uint32(255))
                word >>= np.uint32(8)
                held -= 8
                at += 1
        if held > 0:
            out[i, at] = np.uint8(word & np.uint32(255))


@jit
def _unpack(packed, width, out):  # type: ignore[no-untyped-def]
    for i in range(out.shape[0]):
        for j in range(out.shape[1]):
            out[i, j] = read_code(packed[i], j, width)


def pack_rows(codes: np.ndarray, width: int) -> np.ndarray:
    out = np.empty((codes.shape[0], (codes.shape[1] * width + 7) // 8), np.uint8)
    _pack(codes, width, out)
    return out


def unpack_rows(packed: np.ndarray, count: int, width: int) -> np.ndarray:
    out = np.empty((packed.shape[0], count), np.uint16)
    _unpack(packed, width, out)
    return out


@jit
def row_squares(matrix, squares):  # type: ignore[no-untyped-def]
    for i in range(matrix.shape[0]):
        total = 0.0
        for j in range(matrix.shape[1]):
            total += np.float64(matrix[i, j]) * np.float64(matrix[i, j])
        squares[i] = total
