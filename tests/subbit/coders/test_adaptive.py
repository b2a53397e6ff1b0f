from __future__ import annotations

from importlib import import_module

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from subbit.coders.adaptive import IntegerReader, IntegerWriter, stored_size
from subbit.errors import SubbitError

few = settings(deadline=None, max_examples=40)
arrays = st.lists(st.lists(st.one_of(st.integers(0, 9), st.integers(0, 2**32 - 1)), max_size=40), max_size=4)


def stream(*found: list[int] | np.ndarray) -> bytes:
    writer = IntegerWriter()
    for values in found:
        writer.add(np.array(values, np.int64))
    return writer.finish()


@few
@given(arrays, st.binary(max_size=5))
def test_arrays_come_back_in_their_order(found: list[list[int]], after: bytes) -> None:
    data = stream(*found)
    reader = IntegerReader(data + after)
    assert [reader.take(len(values)).tolist() for values in found] == found
    assert reader.finish() == len(data) == 4 + stored_size(*map(np.array, found))


@few
@given(arrays)
def test_twins_agree_to_the_bit(found: list[list[int]]) -> None:
    with pytest.MonkeyPatch.context() as patch:
        stored = []
        for backend in ("compiled", "plain"):
            patch.setenv("SUBBIT_KERNELS", backend)
            data = stream(*found)
            reader = IntegerReader(data)
            stored.append((data, [reader.take(len(values)).tolist() for values in found], reader.finish()))
    assert stored[0] == stored[1]


def test_stored_bytes_are_fixed() -> None:
    assert stream([3, 300, 0], [], [2, 2, 2, 3]).hex() == "e3341e004f61c96f"
    assert stream().hex() == "00000100"


@pytest.mark.parametrize("count", [200, 800, 20_000])
def test_size_is_the_entropy_and_a_little_for_learning(count: int) -> None:
    values = np.rint(12 + 2 * np.random.default_rng(0).standard_normal(count)).astype(np.int64)
    seen = np.bincount(values)
    seen = seen[seen > 0]
    ideal = -(seen * np.log2(seen / count)).sum()
    learned = 0.5 * seen.size * np.log2(count)
    assert ideal <= 8 * stored_size(values) <= 1.01 * ideal + 1.5 * learned
    assert stored_size(np.full(count, 5)) <= 8 + count / 5000


def test_other_numbers_are_refused() -> None:
    for bad in (-1, 1 << 32):
        with pytest.raises(SubbitError) as caught:
            IntegerWriter().add(np.array([bad]))
        assert caught.value.kind == "symbols"


def test_damage_is_an_error_or_other_numbers() -> None:
    values = np.random.default_rng(0).integers(0, 40, 60)
    data, kinds = stream(values), []
    for at in range(0, 8 * len(data), 3):
        damaged = bytearray(data)
        damaged[at // 8] ^= 1 << at % 8
        try:
            reader = IntegerReader(bytes(damaged))
            assert reader.take(60, limit=100).max() <= 100
            reader.finish()
        except SubbitError as error:
            kinds.append(error.kind)
    assert set(kinds) == {"section"}
    assert len(kinds) > 0.9 * 8 * len(data) / 3
    for cut in (b"", data[:3], data[:-2]):
        with pytest.raises(SubbitError):
            IntegerReader(cut).take(60)
    with pytest.raises(SubbitError):
        IntegerReader(data).finish()


def test_limit() -> None:
    assert IntegerReader(stream([7])).take(1, limit=7) == 7
    with pytest.raises(SubbitError):
        IntegerReader(stream([7])).take(1, limit=6)


@pytest.mark.parametrize("backend", ["compiled", "plain"])
def test_put_needs_no_words_for_certain_symbols(backend: str) -> None:
    states = np.full(1, 1 << 16, np.uint32)
    spans = np.full(100, 4095, np.uint32)
    assert import_module(f"subbit.kernels.{backend}.rans").put(spans, 12, states, np.empty(3, np.uint16)) == 3
    assert states.tolist() == [1 << 16]
