"""Integers times scales: both twins, in registers or not, all types, any place."""

from __future__ import annotations

import itertools

import numpy as np
import pytest

from subbit.kernels.compiled import uniform as compiled
from subbit.kernels.plain import uniform as plain
from subbit.kernels.plain.rows import pack_rows

ROWS = 3


@pytest.mark.parametrize(("width", "group"), [(4, 64), (8, 32), (4, 48), (3, 64), (8, 1000)])
@pytest.mark.parametrize("cols", [96, 160, 77])
def test_twins_write_the_same_bits_and_nothing_else(width: int, group: int, cols: int) -> None:
    random = np.random.default_rng(width * cols)
    packed = pack_rows(random.integers(0, 1 << width, (ROWS, cols)).astype(np.uint16), width)
    scales = np.exp(8 * random.normal(size=(ROWS, -(-cols // group)))).astype(np.float32)
    for kind, (stream, shift) in itertools.product((0, 1, 2), ((True, 0), (True, 3), (False, 3))):
        expected = np.zeros((ROWS, cols), np.uint16 if kind else np.uint32)
        plain.expand(packed, width, scales, group, expected, kind, stream)
        memory = np.zeros(ROWS * cols + 128, expected.dtype)
        first = -memory.ctypes.data % 64 // memory.itemsize + shift
        inside = slice(first, first + ROWS * cols)
        found = memory[inside].reshape(ROWS, cols)
        compiled.expand(packed, width, scales, group, found, kind, stream)
        assert np.array_equal(found, expected)
        memory[inside] = 0
        assert not memory.any()
