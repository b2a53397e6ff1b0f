from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from subbit.coders.adaptive import IntegerReader, IntegerWriter
from subbit.coders.levels import CERTAIN, ONE, Levels
from subbit.errors import SubbitError

few = settings(deadline=None, max_examples=60)
counts = hnp.arrays(
    np.int64, st.tuples(st.integers(1, 5), st.integers(1, 12)), elements=st.sampled_from([0, 0, 1, 3, 50, 10**6, 10**9])
)


def stored(levels: Levels) -> bytes:
    stream = IntegerWriter()
    for numbers in levels.numbers():
        stream.add(numbers)
    return stream.finish()


@few
@given(counts)
def test_what_occurs_has_a_probability(found: np.ndarray) -> None:
    levels = Levels.fit(found)
    kept = found[:, : levels.count]
    assert not found[:, levels.count :].any()
    assert (levels.chances[kept > 0] > 0).all()
    assert (levels.chances >= 0).all()
    assert (np.abs(levels.chances.sum(axis=1) - ONE) <= levels.count).all()
    assert np.isfinite(levels.cost(found))


@few
@given(counts)
def test_stored_form(found: np.ndarray) -> None:
    levels = Levels.fit(found)
    reader = IntegerReader(stored(levels))
    assert (Levels.read(reader, len(found), 12).codes == levels.codes).all()
    reader.finish()


@few
@given(st.integers(0, 99), st.sampled_from([0.3, 1.0, 5.0]))
def test_costs_are_near_the_entropy(seed: int, spread: float) -> None:
    random = np.random.default_rng(seed)
    sizes = np.abs(random.standard_normal((4, 100_000))) * spread * np.array([[1.0], [1.3], [0.7], [2]])
    found = np.stack([np.bincount(row.astype(int), minlength=60) for row in sizes])
    shares = found / found.sum(axis=1, keepdims=True)
    ideal = -(found[found > 0] * np.log2(shares[found > 0])).sum()
    levels = Levels.fit(found)
    assert ideal * (1 - 1e-9) <= levels.cost(found) <= 1.001 * ideal + 5 * levels.codes.size
    assert (levels.bits[:, 0] == pytest.approx(-np.log2(shares[:, 0]), rel=0.05, abs=0.02)) or spread == 5


def test_a_new_share_is_stored_only_where_it_pays() -> None:
    found = np.array([[9000, 1000], [90, 11], [9000, 2000]])
    codes = Levels.fit(found).codes[:, 0]
    assert codes[0] == codes[1] != codes[2]


def test_nothing_but_zeros() -> None:
    levels = Levels.fit(np.array([[7, 0, 0]]))
    assert levels.count == 1
    assert levels.chances.tolist() == [[ONE]]
    assert levels.cost(np.array([[7, 0, 0]])) == 0


@pytest.mark.parametrize("codes", [[[CERTAIN + 1]], [[-1]]])
def test_shares_beyond_0_and_1_are_refused(codes: list[list[int]]) -> None:
    with pytest.raises(SubbitError) as caught:
        Levels.read(IntegerReader(stored(Levels(np.array(codes)))), 1, 12)
    assert caught.value.kind == "section"
    with pytest.raises(SubbitError):
        Levels.read(IntegerReader(stored(Levels(np.full((1, 12), 40)))), 1, 12)
