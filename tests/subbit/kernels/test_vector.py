"""Looking up vectors: both twins, whole rows in registers or in pieces, any signs, types, widths and alignment."""

from __future__ import annotations

import itertools

import numpy as np
import pytest

from subbit.kernels.compiled import vector as compiled
from subbit.kernels.plain import vector as plain
from subbit.kernels.plain.rows import pack_rows

ROWS = 3
NONE = np.empty((0, 0), np.uint64)
NO_ANGLES = np.empty(0, np.uint16), np.empty(0, np.uint16)


@pytest.mark.parametrize(("dim", "width"), [(16, 8), (17, 8), (16, 3), (17, 12), (40, 5), (64, 8), (5, 8), (12, 9)])
@pytest.mark.parametrize("cols", [64, 1088, 100])
def test_twins_write_the_same_bits_and_nothing_else(dim: int, width: int, cols: int) -> None:
    random = np.random.default_rng(dim * cols)
    codes = random.integers(0, 1 << width, (ROWS, -(-cols // dim)))
    packed = pack_rows(codes.astype(np.uint16), width)
    table = np.zeros((1 << width, -(-dim // 16) * 16), np.float32)
    table[:, :dim] = random.normal(size=(1 << width, dim)) * np.exp(6 * random.normal(size=(1 << width, dim)))
    scales = random.random(ROWS, np.float32)
    words = random.integers(0, 2**64, (ROWS, -(-cols // 64)), np.uint64, endpoint=False)
    if cols % 64:
        words[:, -1] &= np.uint64((1 << cols % 64) - 1)
    turned = random.integers(0, 1 << 16, ROWS, np.uint16), random.integers(0, 1 << 16, cols, np.uint16)
    signs = [(NONE, *NO_ANGLES), (words, *turned), (NONE, *turned), (words, *NO_ANGLES)]
    usual = dim == 16 and width == 8
    variants = itertools.product(signs if usual else signs[:2], (0, 1, 2), (False, True) if usual else (True,), (0, 3))
    for (flips, turns, angles), kind, stream, shift in variants:
        expected = np.zeros((ROWS, cols), np.uint16 if kind else np.uint32)
        plain.gather(packed, width, table, dim, scales, flips, turns, angles, expected, kind, stream)
        memory = np.zeros(ROWS * cols + 128, expected.dtype)
        first = -memory.ctypes.data % 64 // memory.itemsize + shift
        inside = slice(first, first + ROWS * cols)
        found = memory[inside].reshape(ROWS, cols)
        compiled.gather(packed, width, table, dim, scales, flips, turns, angles, found, kind, stream)
        assert np.array_equal(found, expected)
        memory[inside] = 0
        assert not memory.any()
