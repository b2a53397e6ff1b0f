from __future__ import annotations

import itertools

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from subbit.bits.entropy import entropy
from subbit.coders import varints
from subbit.coders.frequencies import Frequencies
from subbit.errors import SubbitError

seeds = st.integers(0, 2**32 - 1)


def skewed_counts(contexts: int, alphabet: int, seed: int) -> np.ndarray:
    rng = np.random.default_rng(seed)
    counts = (10 ** rng.uniform(-2, 6, (contexts, alphabet))).astype(np.int64)
    counts[rng.random(contexts) < 0.2] = 0
    return counts


@settings(deadline=None, max_examples=60)
@given(contexts=st.integers(1, 5), alphabet=st.sampled_from([1, 2, 3, 17, 255, 256]), seed=seeds)
def test_rows_sum_to_4096_and_cover_what_occurs(contexts: int, alphabet: int, seed: int) -> None:
    counts = skewed_counts(contexts, alphabet, seed)
    table = Frequencies.fit(counts).table
    assert table.dtype == np.uint16
    assert (table.sum(axis=1) == 4096).all()
    assert (table[counts > 0] >= 1).all()
    assert (table[counts.any(axis=1)][counts[counts.any(axis=1)] == 0] == 0).all()
    assert (table[~counts.any(axis=1), 0] == 4096).all()


@settings(deadline=None, max_examples=60)
@given(contexts=st.integers(1, 5), alphabet=st.sampled_from([1, 2, 3, 17, 256]), seed=seeds)
def test_bytes_come_back_from_any_offset(contexts: int, alphabet: int, seed: int) -> None:
    frequencies = Frequencies.fit(skewed_counts(contexts, alphabet, seed))
    data = frequencies.to_bytes()
    again, end = Frequencies.from_bytes(b"***" + data + b"*", 3)
    np.testing.assert_array_equal(again.table, frequencies.table)
    assert again.table.dtype == np.uint16
    assert end == 3 + len(data)


@pytest.mark.parametrize(
    ("counts", "stored"),
    [([[0]], "01018020"), ([[3, 0, 0, 1]], "0104801800018008"), ([[1, 1], [0, 5]], "02028010801000008020")],
)
def test_bytes_are_fixed(counts: list[list[int]], stored: str) -> None:
    assert Frequencies.fit(np.array(counts)).to_bytes().hex() == stored


@settings(deadline=None, max_examples=30)
@given(counts=st.lists(st.integers(1, 10**6), min_size=2, max_size=6))
def test_no_exchange_of_one_unit_saves_more_than_a_trifle(counts: list[int]) -> None:
    histogram = np.array([counts])
    fitted = Frequencies.fit(histogram)
    best = fitted.cost(histogram)
    for giver, taker in itertools.permutations(range(len(counts)), 2):
        table = fitted.table.copy()
        if table[0, giver] > 1:
            table[0, giver] -= 1
            table[0, taker] += 1
            assert Frequencies(table).cost(histogram) > best * (1 - 1e-3) - 1e-6


def test_cost_is_near_the_entropy_and_infinite_for_what_cannot_be_coded() -> None:
    counts = np.array([[900, 80, 20], [5, 0, 0]])
    bits = 1000 * entropy(counts[0])
    frequencies = Frequencies.fit(counts)
    assert bits <= frequencies.cost(counts) <= bits * 1.001
    assert frequencies.cost(np.array([[0, 0, 0], [0, 1, 0]])) == np.inf


@pytest.mark.parametrize(
    "numbers",
    [[], [1], [0, 1, 4096], [257, 1], [1, 0], [1, 257, 4096], [1, 2, 4095], [1, 2, 4097], [1, 2, 1, 4094, 1],
     [1, 2, 0, 1, 4096], [1, 2, 0, 4_000_000_000, 4096], [2, 1, 4096]],
)  # fmt: skip
def test_anything_else_is_refused(numbers: list[int]) -> None:
    with pytest.raises(SubbitError) as caught:
        Frequencies.from_bytes(varints.write(numbers))
    assert caught.value.kind == "section"


@pytest.mark.parametrize(
    "table",
    [np.array([4096], np.uint16), np.array([[4096]], np.int64), np.array([[4095]], np.uint16),
     np.zeros((0, 4), np.uint16), np.full((1, 512), 8, np.uint16)],
)  # fmt: skip
def test_a_table_is_checked_when_made(table: np.ndarray) -> None:
    with pytest.raises(SubbitError):
        Frequencies(table)
