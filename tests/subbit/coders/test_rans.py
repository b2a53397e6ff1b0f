from __future__ import annotations

from importlib import import_module

import constriction
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from subbit.coders import rans
from subbit.coders.frequencies import Frequencies
from subbit.errors import SubbitError

few = settings(deadline=None, max_examples=40)
seeds = st.integers(0, 2**32 - 1)
alphabets = st.sampled_from([1, 2, 3, 16, 256])


def histogram(symbols: np.ndarray, contexts: np.ndarray, shape: tuple[int, int]) -> np.ndarray:
    counts = np.zeros(shape, np.int64)
    np.add.at(counts, (contexts, symbols), 1)
    return counts


def sample(count: int, contexts: int, alphabet: int, seed: int) -> tuple[np.ndarray, np.ndarray, Frequencies]:
    rng = np.random.default_rng(seed)
    context = rng.integers(0, contexts, count).astype(np.uint8)
    rates = rng.uniform(0.05, 0.95, contexts)
    symbols = np.minimum(rng.geometric(rates[context]) - 1, alphabet - 1).astype(np.uint8)
    return symbols, context, Frequencies.fit(histogram(symbols, context, (contexts, alphabet)))


@pytest.mark.parametrize(
    ("count", "lanes"), [(0, 1), (8191, 1), (8192, 2), (16384, 4), (65535, 8), (65536, 16), (10**7, 16)]
)
def test_lanes(count: int, lanes: int) -> None:
    assert rans.lanes_for(count) == lanes


@few
@given(count=st.integers(0, 40_000), contexts=st.sampled_from([1, 2, 9, 256]), alphabet=alphabets, seed=seeds)
def test_symbols_come_back(count: int, contexts: int, alphabet: int, seed: int) -> None:
    symbols, context, frequencies = sample(count, contexts, alphabet, seed)
    data = rans.encode(symbols, frequencies, context)
    out = np.empty(count, np.uint8)
    assert rans.decode(data, count, frequencies, context, out) is out
    np.testing.assert_array_equal(out, symbols)


@few
@given(count=st.integers(0, 20_000), alphabet=alphabets, seed=seeds)
def test_no_contexts_is_context_0(count: int, alphabet: int, seed: int) -> None:
    symbols, context, frequencies = sample(count, 1, alphabet, seed)
    data = rans.encode(symbols, frequencies)
    assert data == rans.encode(symbols, frequencies, context)
    np.testing.assert_array_equal(rans.decode(data, count, frequencies), symbols)


def test_the_symbol_that_is_all_costs_nothing() -> None:
    symbols = np.full(100_000, 7, np.uint8)
    frequencies = Frequencies.fit(np.bincount(symbols))
    data = rans.encode(symbols, frequencies)
    assert len(data) == 4 * 16
    np.testing.assert_array_equal(rans.decode(data, symbols.size, frequencies), symbols)


def test_stored_bytes_are_fixed() -> None:
    symbols = np.array([0, 1, 0, 0, 2, 0, 1, 0] * 4, np.uint8)
    contexts = np.array([0, 1] * 16, np.uint8)
    frequencies = Frequencies(np.array([[3000, 1000, 96], [1024, 2048, 1024]], np.uint16))
    data = rans.encode(symbols, frequencies, contexts)
    assert data.hex() == "da09e128b5218541c867"
    np.testing.assert_array_equal(rans.decode(data, 32, frequencies, contexts), symbols)


def test_lanes_read_their_words_in_order() -> None:
    """The definition once more, for two lanes: symbol i uses state i mod 2, then a word if it is short."""
    count = 8192
    symbols = (np.arange(count) * 7 % 11 % 3).astype(np.uint8)
    frequencies = Frequencies(np.array([[1000, 2000, 1096]], np.uint16))
    stored = rans.encode(symbols, frequencies)
    x = np.frombuffer(stored[:8], "<u4").tolist()
    words = iter(np.frombuffer(stored[8:], "<u2").tolist())
    for i in range(count):
        slot = x[i % 2] % 4096
        symbol = 0 if slot < 1000 else 1 if slot < 3000 else 2
        assert symbol == symbols[i]
        x[i % 2] = (1000, 2000, 1096)[symbol] * (x[i % 2] // 4096) + slot - (0, 1000, 3000)[symbol]
        if x[i % 2] < 1 << 16:
            x[i % 2] = x[i % 2] << 16 | next(words)
    assert x == [1 << 16, 1 << 16]
    assert next(words, None) is None


@pytest.mark.parametrize(("contexts", "alphabet"), [(1, 2), (1, 16), (6, 3), (6, 64), (1, 256)])
def test_size_is_the_models_cost_and_that_of_an_independent_coder(contexts: int, alphabet: int) -> None:
    count, seed = 1 << 18, contexts + alphabet
    symbols, context, frequencies = sample(count, contexts, alphabet, seed)
    stored = 8 * len(rans.encode(symbols, frequencies, context))
    bits = stored - 32 * rans.lanes_for(count)
    ideal = frequencies.cost(histogram(symbols, context, (contexts, alphabet)))
    assert ideal <= stored
    assert bits <= 1.002 * ideal

    reference = constriction.stream.stack.AnsCoder()
    for index in range(contexts):
        row = frequencies.table[index]
        occurring = np.flatnonzero(row)
        if occurring.size > 1:
            model = constriction.stream.model.Categorical(row[occurring] / np.float64(4096), perfect=False)
            place = np.searchsorted(occurring, symbols[context == index]).astype(np.int32)
            reference.encode_reverse(place, model)
    assert abs(bits - reference.num_bits()) <= 0.002 * reference.num_bits() + 64


@few
@given(count=st.integers(0, 20_000), contexts=st.sampled_from([1, 3]), alphabet=alphabets, seed=seeds)
def test_twins_agree_to_the_bit(count: int, contexts: int, alphabet: int, seed: int) -> None:
    symbols, context, frequencies = sample(count, contexts, alphabet, seed)
    if contexts == 1:
        context = context[:0]
    results = []
    for backend in ("compiled", "plain"):
        twin = import_module(f"subbit.kernels.{backend}.rans")
        states, words = np.full(rans.lanes_for(count), 1 << 16, np.uint32), np.zeros(count, np.uint16)
        first = twin.encode(symbols, context, frequencies.spans, states, words)
        decoded, after = np.empty(count, np.uint8), states.copy()
        used = twin.decode(words[first:], context, frequencies.slots, after, decoded)
        cut = twin.decode(words[first + 1 :], context, frequencies.slots, states.copy(), decoded.copy())
        results.append((first, used, cut, *(a.tobytes() for a in (states, words[first:], after, decoded))))
    assert results[0] == results[1]


@pytest.mark.parametrize("backend", ["compiled", "plain"])
def test_damage_is_an_error_or_other_symbols(backend: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SUBBIT_KERNELS", backend)
    count = 600
    symbols, context, frequencies = sample(count, 3, 256, 5)
    data = rans.encode(symbols, frequencies, context)
    kinds = []
    for bit in range(8 * len(data)):
        damaged = bytearray(data)
        damaged[bit // 8] ^= 1 << bit % 8
        try:
            assert rans.decode(damaged, count, frequencies, context).shape == (count,)
        except SubbitError as error:
            kinds.append(error.kind)
    assert set(kinds) == {"section"}
    assert len(kinds) > 0.99 * 8 * len(data)


def test_wrong_length_and_wrong_count_are_refused() -> None:
    symbols, _, frequencies = sample(9000, 1, 16, 6)
    data = rans.encode(symbols, frequencies)
    for damaged in (b"", data[:7], data[:8], data[:-1], data[:-2], data + b"\0", data + b"\0\0"):
        with pytest.raises(SubbitError) as caught:
            rans.decode(damaged, 9000, frequencies)
        assert caught.value.kind == "section"
    for count in (0, 1, 8999, 9001, 100_000):
        with pytest.raises(SubbitError):
            rans.decode(data, count, frequencies)


def test_what_the_table_lacks_is_refused() -> None:
    frequencies = Frequencies(np.array([[4000, 96, 0]], np.uint16))
    for bad in ([0, 3], [0, 2]):
        with pytest.raises(SubbitError) as caught:
            rans.encode(np.array(bad, np.uint8), frequencies)
        assert caught.value.kind == "symbols"
    good = np.array([0, 1], np.uint8)
    data = rans.encode(good, frequencies)
    for contexts in (np.array([0, 1], np.uint8), np.array([0], np.uint8)):
        with pytest.raises(SubbitError):
            rans.encode(good, frequencies, contexts)
        with pytest.raises(SubbitError):
            rans.decode(data, 2, frequencies, contexts)
    for out in (np.empty(3, np.uint8), np.empty(4, np.uint8)[::2], np.empty(2, np.int64)):
        with pytest.raises(SubbitError):
            rans.decode(data, 2, frequencies, out=out)
    with pytest.raises(SubbitError):
        rans.encode(np.array([0, 1]), frequencies)
