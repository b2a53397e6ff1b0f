from __future__ import annotations

from typing import Any

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from subbit.kernels.compiled import scalar as compiled
from subbit.kernels.plain import scalar as plain

SHAPES = st.tuples(st.integers(1, 20), st.integers(1, 40))


def gaussian(rows: int, cols: int, seed: int, power: int = 0) -> np.ndarray:
    random = np.random.default_rng(seed)
    matrix = (random.standard_normal((rows, cols)) * 10.0**power).astype(np.float32)
    matrix[random.random((rows, cols)) < 0.1] = 0
    return matrix


def both(name: str, *arguments: Any, outs: int) -> list[list[np.ndarray]]:
    """Run both twins on copies of the last `outs` arguments; what they wrote and returned."""
    found = []
    for module in (compiled, plain):
        copies = [argument.copy() for argument in arguments[-outs:]]
        returned = getattr(module, name)(*arguments[:-outs], *copies)
        found.append([*copies, np.array(0.0 if returned is None else returned)])
    return found


def assert_twins(name: str, *arguments: Any, outs: int) -> None:
    first, second = both(name, *arguments, outs=outs)
    for a, b in zip(first, second, strict=True):
        assert a.dtype == b.dtype
        assert a.tobytes() == b.tobytes()


@settings(deadline=None, max_examples=40)
@given(SHAPES, st.integers(0, 999), st.integers(-30, 30))
def test_sums(shape: tuple[int, int], seed: int, power: int) -> None:
    rows, cols = shape
    matrix, random = gaussian(rows, cols, seed, power), np.random.default_rng(seed)
    assert_twins("row_means", matrix, random.random(cols), np.full(rows, np.nan), outs=1)
    assert_twins("row_means", matrix.astype(np.float64), random.random(cols), np.full(rows, np.nan), outs=1)
    assert_twins("column_sums", matrix, random.random(rows), np.full(cols, np.nan), outs=1)


@settings(deadline=None, max_examples=80)
@given(
    SHAPES, st.integers(0, 999), st.integers(1, 16), st.sampled_from([4, 64]),
    st.booleans(), st.sampled_from([0.01, 0.3, 1.0, 30.0, 1e6]), st.booleans(),
)  # fmt: skip
def test_quantize(
    shape: tuple[int, int], seed: int, count: int, levels: int, signed: bool, scale: float, fed_back: bool
) -> None:
    rows, cols = shape
    random = np.random.default_rng(seed)
    matrix = gaussian(rows, cols, seed) if signed else np.abs(gaussian(rows, cols, seed))
    inverse_rows = (scale * (0.5 + random.random(rows))).astype(np.float32)
    inverse_columns = (0.5 + random.random(cols)).astype(np.float32)
    row_codes, column_codes = (random.integers(0, 12, size, np.int32) for size in shape)
    costs = random.random((count, levels)).astype(np.float32)
    centers = (np.arange(levels) + random.integers(-100, 100, (count, levels)) / 256).astype(np.float32)
    alphabet = 2 * levels - 1 if signed else levels
    outs = np.full(shape, 255, np.uint8), np.zeros((count, alphabet), np.int64), np.zeros((count, levels))
    common = inverse_rows, inverse_columns, random.random(rows), random.random(cols), row_codes, column_codes
    arguments = (*common, 1, costs, centers, signed)
    targets = matrix
    if fed_back:
        targets = np.full(shape, np.nan, np.float32)
        factor = np.tril(random.standard_normal((cols, cols)) / 4, -1).astype(np.float32)
        arguments = (matrix, random.permutation(cols), factor, *arguments, targets)
        name = "quantize_with_feedback"
        assert_twins(name, *arguments[:-1], targets, *outs, outs=4)
    else:
        arguments, name = (matrix, *arguments), "quantize"
        assert_twins(name, *arguments, *outs, outs=3)
    weighted, in_steps, beyond = getattr(compiled, name)(*arguments, *outs)
    symbols, histogram, sums = outs
    assert histogram.sum() == symbols.size
    assert symbols.max() < alphabet
    a = np.abs(targets) if signed else np.maximum(targets, 0)
    assert beyond == np.count_nonzero(a * (inverse_rows[:, None] * inverse_columns) >= levels - 0.5)
    assert np.isfinite([weighted, in_steps]).all()
    assert np.isfinite(sums).all()
    if signed:
        nonzero = symbols > 0
        assert np.array_equal(symbols[nonzero] % 2 == 1, targets[nonzero] > 0)


def test_quantize_takes_the_cheapest_of_its_candidates() -> None:
    matrix = gaussian(30, 40, 1)
    inverse, equal, codes = np.full(30, 3, np.float32), np.ones(40), np.zeros(40, np.int32)
    costs = np.linspace(0, 2, 64, dtype=np.float32)[None]
    centers = np.arange(64, dtype=np.float32)[None]
    symbols = np.empty((30, 40), np.uint8)
    found = np.zeros((1, 64), np.int64), np.zeros((1, 64))
    steps = inverse, equal.astype(np.float32)
    compiled.quantize(matrix, *steps, equal[:30], equal, codes[:30], codes, 0, costs, centers, False, symbols, *found)
    a = np.abs(matrix) * np.float32(3)
    every = (a[..., None] - centers[0]) ** 2 + costs[0]
    chosen = np.take_along_axis(every, symbols[..., None].astype(int), axis=2)[..., 0]
    assert np.allclose(chosen, every.min(axis=2), atol=1e-6)
