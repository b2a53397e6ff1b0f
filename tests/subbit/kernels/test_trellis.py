from __future__ import annotations

from itertools import product

import numpy as np
import pytest
from checks import same_bits
from hypothesis import given, settings
from hypothesis import strategies as st

from subbit.codecs.trellis.classes import UNIT, grouped
from subbit.codecs.trellis.values import HALF, HEAVY, NORMAL, Shape, values, windows
from subbit.kernels.compiled import trellis as compiled
from subbit.kernels.compiled import viterbi as compiled_search
from subbit.kernels.plain import trellis as plain
from subbit.kernels.plain import viterbi as plain_search


def walk(kernels: object, targets: np.ndarray, rates: np.ndarray, table: np.ndarray, window: int) -> np.ndarray:
    packed = np.zeros((-(-int(rates.sum(dtype=np.int64)) // UNIT) + 7) // 8 + 2, np.uint8)
    kernels.encode(targets, np.full(targets.size, 0.8, np.float32), rates, table, window, packed)  # type: ignore[attr-defined]
    return packed


def follow(kernels: object, packed: np.ndarray, rates: np.ndarray, table: np.ndarray) -> np.ndarray:
    out = np.empty((1, rates.size), np.float32)
    zero, scales = np.zeros(1, np.int64), np.full((1, rates.size), 0.8, np.float32)
    kernels.decode(packed, zero, 1, zero.astype(np.int32), rates[None], scales, table, out)  # type: ignore[attr-defined]
    return out[0]


@settings(deadline=None, max_examples=30)
@given(st.integers(1, 400), st.sampled_from([None, 1 / 8, 1 / 4, 1 / 2, 2 / 3, 1, 2, 8]), st.integers(0, 99))
def test_twins(count: int, rate: float | None, seed: int) -> None:
    random = np.random.default_rng(seed)
    targets = random.standard_normal(count).astype(np.float32)
    mixed = random.integers(UNIT // 8, 5 * UNIT, count) * random.integers(0, 2, count)
    rates = (mixed if rate is None else np.full(count, rate * UNIT)).astype(np.int32)
    table = values(8, NORMAL)
    packed = walk(compiled_search, targets, rates, table, 32)
    same_bits(packed, walk(plain_search, targets, rates, table, 32))
    same_bits(follow(compiled, packed, rates, table), follow(plain, packed, rates, table))


@pytest.mark.filterwarnings("error")
def test_scales_of_hostile_files_overflow_in_silence() -> None:
    table = values(9, NORMAL)
    packed, rates = np.arange(64, dtype=np.uint8), np.full((1, 80), UNIT, np.int32)
    zero, scales = np.zeros(1, np.int64), np.full((1, 80), 3e38, np.float32)
    found = [np.empty((1, 80), np.float32) for _ in range(4)]
    for kernels, (one, other) in ((compiled, found[:2]), (plain, found[2:])):
        kernels.decode(packed, zero + 64, 1, zero.astype(np.int32), rates, scales, table, one)
        even = windows(9, NORMAL, 1, 1)
        kernels.decode_even(packed, zero + 64, 1, zero.astype(np.int32), scales, *even, other.view(np.uint32), 0, False)
    assert np.isinf(found[0]).any()
    same_bits(found[0], found[2])
    same_bits(found[1], found[3])


@pytest.mark.parametrize("cols", [80, 8])
@pytest.mark.parametrize(("group", "bits"), [(1, 1), (2, 1), (4, 1), (8, 1), (2, 2), (4, 3), (4, 4), (8, 5), (8, 8)])
def test_even_rates(group: int, bits: int, cols: int) -> None:
    random = np.random.default_rng(group)
    rows, tile_rows = 7, 3
    table = values(9, NORMAL)
    tile = tile_rows * cols * bits // group
    starts = 64 + np.array([3, 3 + tile, 3 + 2 * tile])
    packed = random.integers(0, 256, 16 + (3 + rows * cols * bits // group + 7) // 8, np.uint8)
    classes = random.integers(0, 2, rows, np.int32)
    scales = random.random((2, cols), np.float32)
    rates = grouped(np.full((2, cols), UNIT * bits // group, np.int32), group if bits > 1 else 1)
    found = [np.empty((rows, cols), np.float32) for _ in range(4)]
    even, step = windows(9, NORMAL, group, bits)
    for kernels, (one, other) in ((compiled, found[:2]), (plain, found[2:])):
        kernels.decode(packed, starts, tile_rows, classes, rates, scales, table, one)
        kernels.decode_even(packed, starts, tile_rows, classes, scales, even, step, other.view(np.uint32), 0, False)
    for other in found[1:]:
        same_bits(found[0], other)


@pytest.mark.parametrize("cols", [96, 72])
@pytest.mark.parametrize(("kind", "stream", "shift"), [(1, True, 0), (1, True, 1), (2, False, 0), (0, True, 0)])
def test_even_rates_in_any_type_and_place(cols: int, kind: int, stream: bool, shift: int) -> None:
    random = np.random.default_rng(cols)
    rows, tile = 5, 2 * cols // 2
    starts, packed = 64 + tile * np.arange(3), random.integers(0, 256, 16 + 3 * tile // 8 + 1, np.uint8)
    scales, classes = random.random((2, cols), np.float32), random.integers(0, 2, rows, np.int32)
    expected = np.zeros((rows, cols), np.uint16 if kind else np.uint32)
    even = windows(9, NORMAL, 2, 1)
    plain.decode_even(packed, starts, 2, classes, scales, *even, expected, kind, stream)
    memory = np.zeros(rows * cols + 128, expected.dtype)
    first = -memory.ctypes.data % 64 // memory.itemsize + shift
    inside = slice(first, first + rows * cols)
    compiled.decode_even(packed, starts, 2, classes, scales, *even, memory[inside].reshape(rows, cols), kind, stream)
    same_bits(memory[inside].reshape(rows, cols), expected)
    memory[inside] = 0
    assert not memory.any()


@pytest.mark.parametrize("state_bits", [11, 12, 13])
def test_twins_of_many_states(state_bits: int) -> None:
    random = np.random.default_rng(state_bits)
    targets, rates = random.standard_normal(333).astype(np.float32), random.integers(UNIT // 8, 2 * UNIT, 333, np.int32)
    table = values(state_bits, NORMAL)
    same_bits(*(walk(kernels, targets, rates, table, 64) for kernels in (compiled_search, plain_search)))


def test_no_walk_is_better() -> None:
    table, rates = values(8, NORMAL), np.full(12, UNIT // 2, np.int32)
    targets = np.random.default_rng(0).standard_normal(12).astype(np.float32)

    def error(packed: np.ndarray) -> float:
        return float(((targets - follow(compiled, packed, rates, table)) ** 2).sum())

    walks = [np.packbits([*bits, 0, 0], bitorder="little") for bits in product((0, 1), repeat=6)]
    best = min(error(np.append(bits, np.uint8([0, 0]))) for bits in walks)
    assert error(walk(compiled_search, targets, rates, table, 64)) == pytest.approx(best, rel=1e-5)


def test_settling_early_costs_nothing() -> None:
    table, rates = values(8, NORMAL), np.full(3000, UNIT, np.int32)
    targets = np.random.default_rng(1).standard_normal(3000).astype(np.float32)
    same_bits(walk(compiled_search, targets, rates, table, 832), walk(compiled_search, targets, rates, table, 3008))


@pytest.mark.parametrize(("shape", "deviation"), [(NORMAL, 0.95), (HEAVY, 1.06), (HALF, 0.99)])
def test_values(shape: Shape, deviation: float) -> None:
    table = values(12, shape)
    assert table.shape == (8, 4096)
    assert (table * 1024 == np.rint(table * 1024)).all()
    assert np.abs(table.mean(axis=1)).max() < 0.04
    assert np.abs(table.std(axis=1) - deviation).max() < 0.06
    if shape.signed:  # the newest and the oldest bit of the state turn the sign over
        assert (table[:, :2048] * table[:, 2048:] <= 0).all()
        assert (table[:, ::2] * table[:, 1::2] <= 0).all()


def test_values_of_the_specification() -> None:
    assert (values(12, NORMAL)[0, :4] * 1024).tolist() == [0, -1089, 1560, -244]
