from __future__ import annotations

import numpy as np
import pytest
from checks import same_bits

from subbit.kernels.compiled import kmeans as compiled
from subbit.kernels.plain import kmeans as plain


@pytest.mark.parametrize("count", [1, 3, 4, 203])
@pytest.mark.parametrize(("dim", "entries"), [(1, 1), (3, 63), (16, 64), (17, 256), (5, 300)])
def test_nearest(count: int, dim: int, entries: int) -> None:
    random = np.random.default_rng(count)
    points = random.standard_normal((count, dim), np.float32)
    codebook, offsets = random.standard_normal((dim, entries), np.float32), random.random(entries, np.float32)
    found = []
    for kernels in (compiled, plain):
        codes, scores = np.empty(count, np.uint16), np.empty(count, np.float32)
        kernels.nearest(points, codebook, offsets, codes, scores)  # type: ignore[attr-defined]
        found.append((codes, scores))
    for one, other in zip(*found, strict=True):
        same_bits(one, other)


def test_the_first_of_equal_entries_is_the_nearest() -> None:
    points, codebook = np.ones((5, 2), np.float32), np.ones((2, 200), np.float32)
    offsets = np.ones(200, np.float32)
    offsets[[30, 95, 130, 190]] = 0
    codes, scores = np.empty(5, np.uint16), np.empty(5, np.float32)
    compiled.nearest(points, codebook, offsets, codes, scores)
    assert (codes.tolist(), scores.tolist()) == ([30] * 5, [-2.0] * 5)


def test_approach() -> None:
    random = np.random.default_rng(0)
    columns, weights = random.standard_normal((7, 2500), np.float32), random.random(2500)
    found = [(np.full(2500, np.inf, np.float32), np.empty(2500)) for _ in range(2)]
    for kernels, (distances, sums) in zip((compiled, plain), found, strict=True):
        for k in (3, 2000):
            kernels.approach(columns, columns[:, k].copy(), weights, distances, sums)  # type: ignore[attr-defined]
    for one, other in zip(*found, strict=True):
        same_bits(one, other)
