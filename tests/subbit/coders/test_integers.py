from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from subbit.bits.entropy import binary_entropy
from subbit.coders import integers
from subbit.errors import SubbitError


@settings(deadline=None, max_examples=60)
@given(st.lists(st.one_of(st.integers(0, 40), st.integers(0, 2**32 - 1)), max_size=60), st.integers(1, 40))
def test_values_come_back(values: list[int], repeat: int) -> None:
    array = np.array(values * repeat, np.uint32)
    decoded = integers.decode(integers.encode(array), array.size)
    assert decoded.dtype == np.int64
    np.testing.assert_array_equal(decoded, array)


@pytest.mark.parametrize("dtype", [np.uint8, np.int16, np.uint32, np.int64, np.uint64])
def test_bucket_edges_of_every_octave_and_type(dtype: type) -> None:
    top = min(32, np.iinfo(dtype).bits - (np.iinfo(dtype).min < 0))
    starts = [lead << bits >> 3 for bits in range(top) for lead in (8, 9, 15)]
    values = np.array([start - below for start in starts for below in (0, 1)] * 40, dtype)
    data = integers.encode(values)
    assert data[0] == 1
    np.testing.assert_array_equal(integers.decode(data, values.size), values.astype(np.int64))


@pytest.mark.parametrize("p", [0.5, 0.1, 0.01, 0.001])
def test_geometric_gaps_cost_their_entropy_and_a_small_table(p: float) -> None:
    count = 100_000
    gaps = np.random.default_rng(1).geometric(p, count) - 1
    data = integers.encode(gaps)
    assert 8 * (len(data) - 200) <= 1.01 * count * binary_entropy(p) / p
    np.testing.assert_array_equal(integers.decode(data, count), gaps)


def test_a_handful_of_values_costs_a_handful_of_bytes() -> None:
    handfuls = [np.array(values, np.int64) for values in ([], [5], [1, 2, 3, 4, 5], [300] * 5)]
    assert [len(integers.encode(values)) for values in handfuls] == [1, 2, 6, 11]


def test_a_constant_costs_next_to_nothing() -> None:
    assert len(integers.encode(np.full(1_000_000, 3))) < 100


def test_stored_bytes_are_fixed() -> None:
    assert integers.encode(np.array([0, 127, 128])).hex() == "00007f8001"
    stored = "010111801480048004000c8004103cb6080005e1e43918898744be24000eff"
    assert integers.encode(np.array([0, 0, 1, 0, 2, 0, 0, 17] * 8)).hex() == stored


@pytest.mark.parametrize("values", [[-1], [2**32], [0.5], [2**64 - 1]])
def test_other_values_are_refused(values: list[float]) -> None:
    with pytest.raises(SubbitError) as caught:
        integers.encode(np.array(values))
    assert caught.value.kind == "symbols"


@pytest.mark.parametrize("repeat", [1, 500])
def test_values_above_the_limit_are_refused(repeat: int) -> None:
    data = integers.encode(np.array([3, 99, 20] * repeat))
    assert integers.decode(data, 3 * repeat, limit=99).max() == 99
    with pytest.raises(SubbitError) as caught:
        integers.decode(data, 3 * repeat, limit=98)
    assert caught.value.kind == "section"


@pytest.mark.parametrize("repeat", [1, 50])
def test_wrong_counts_and_lengths_are_refused(repeat: int) -> None:
    values = np.array([3, 99, 20, 1000] * repeat)
    data = integers.encode(values)
    for count in (0, values.size - 1, values.size + 1, 10**6):
        with pytest.raises(SubbitError):
            integers.decode(data, count)
    for damaged in (b"", data[:1], data[:-1], data + b"\0", b"\2" + data[1:]):
        with pytest.raises(SubbitError) as caught:
            integers.decode(damaged, values.size)
        assert caught.value.kind == "section"


@pytest.mark.parametrize("repeat", [1, 50])
def test_damage_never_crashes_nor_breaks_the_limit(repeat: int) -> None:
    values = np.array([3, 99, 20, 1000] * repeat)
    data = integers.encode(values)
    kinds = set()
    for bit in range(8 * len(data)):
        damaged = bytearray(data)
        damaged[bit // 8] ^= 1 << bit % 8
        try:
            decoded = integers.decode(damaged, values.size, limit=1000)
        except SubbitError as error:
            kinds.add(error.kind)
        else:
            assert decoded.shape == values.shape
            assert decoded.min() >= 0
            assert decoded.max() <= 1000
    assert kinds == {"section"}
