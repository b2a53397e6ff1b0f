from __future__ import annotations

import numpy as np
import pytest

from subbit.kernels.compiled import arranging as compiled
from subbit.kernels.compiled.rows import pack_rows
from subbit.kernels.plain import arranging as plain


@pytest.mark.parametrize("width", [1, 3, 7, 8])
@pytest.mark.parametrize("shape", [(1, 1), (8, 8), (7, 9), (9, 7), (64, 16), (201, 35), (136, 40)])
def test_columns(width, shape):
    random = np.random.default_rng(width)
    codes = random.integers(0, 1 << width, shape).astype(np.uint16)
    order = random.permutation(shape[0]).astype(np.int32)
    packed = pack_rows(codes, width)
    for kernels in (plain, compiled):
        found = np.empty(shape[::-1], np.uint8)
        kernels.columns(packed, width, order, found)
        assert np.array_equal(found, codes[order].T)


@pytest.mark.parametrize(("rows", "blocks", "dim"), [(1, 1, 1), (1, 3, 16), (40, 9, 17), (1000, 30, 16), (5000, 2, 64)])
@pytest.mark.parametrize("step", [1, 1024])
def test_events(rows, blocks, dim, step):
    """With steps of 1,024 many angles are equal."""
    random = np.random.default_rng(rows)
    row_angles = np.sort(random.integers(0, 1 << 15, rows) // step * step).astype(np.uint16)
    column_angles = (random.integers(0, 1 << 16, blocks * dim) // step * step).astype(np.uint16)
    found = []
    for kernels in (plain, compiled):
        parts = tuple(np.empty((blocks, dim), dtype) for dtype in (np.int32, np.uint8, np.bool_))
        kernels.events(row_angles, column_angles, *parts)
        found.append(parts)
    for one, other in zip(*found, strict=True):
        assert np.array_equal(one, other)
    at, turned, negative = found[0]
    signs = negative.copy()
    for row, angle in enumerate(row_angles[:50]):
        for block in range(blocks):
            signs[block, turned[block, at[block] == row]] ^= True
        assert np.array_equal(signs.ravel(), column_angles + angle >= 1 << 15)
