from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from subbit.coders.levels import Levels
from subbit.coders.runs import LONGEST, Field, Runs, Tables, decode, encode, lanes_for
from subbit.errors import SubbitError

few = settings(deadline=None, max_examples=40)
SPREADS = [0.05, 0.3, 1.0, 4.0, 60.0]


def field(random: np.random.Generator, rows: int, cols: int, span: int, contexts: int) -> Field:
    codes, columns = (random.integers(0, span + 1, count).astype(np.int32) for count in (rows, cols))
    top = int(codes.max() + columns.max()) >> 1
    base = max(0, top - contexts + 1)
    return Field.of(codes, columns, base, top - base + 1)


def where(found: Field) -> np.ndarray:
    context = ((found.rows[:, None] + found.columns) >> 1) - found.base
    return np.asarray(np.clip(context, 0, found.contexts - 1))


def sample(
    rows: int, cols: int, spread: float, signed: bool, seed: int, span: int = 0, contexts: int = 1
) -> tuple[np.ndarray, np.ndarray, Field]:
    """Symbols, counts of levels in contexts, and the contexts."""
    random = np.random.default_rng(seed)
    found = field(random, rows, cols, span, contexts)
    values = spread * random.standard_normal((rows, cols)) * 2.0 ** (where(found) - found.contexts + 1)
    levels = np.minimum(np.abs(values) + 0.35, 127).astype(np.int64)
    symbols = np.where(levels > 0, 2 * levels - (values > 0), 0) if signed else levels
    counts = np.zeros((found.contexts, 128), np.int64)
    np.add.at(counts, (where(found), levels), 1)
    return symbols.astype(np.uint8), counts, found


def values_of(levels: Levels, signed: bool) -> np.ndarray:
    """A table that tells all symbols apart, 0 among them, and contexts, too."""
    count = 2 * levels.count - 1 if signed else levels.count
    table = np.arange(count, dtype=np.float32) - np.float32(0 if signed else -0.5)
    return np.asarray(table + 1000 * np.arange(len(levels.codes), dtype=np.float32)[:, None] * (not signed))


def steps(rows: int, cols: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
    random = np.random.default_rng(seed)
    found = (random.uniform(0.1, 3, count).astype(np.float32) for count in (rows, cols))
    return next(found), next(found)


shapes = st.tuples(st.integers(1, 30), st.integers(1, 200))
spans = st.sampled_from([(0, 1), (6, 16), (20, 16), (20, 3), (1, 2)])


@few
@given(shapes, spans, st.sampled_from(SPREADS), st.booleans(), st.integers(0, 999))
def test_weights_come_back_and_twins_agree(
    shape: tuple[int, int], span: tuple[int, int], spread: float, signed: bool, seed: int
) -> None:
    symbols, counts, found = sample(*shape, spread, signed, seed, *span)
    levels = Levels.fit(counts)
    tables, values = Runs.of(levels, signed), values_of(levels, signed)
    units = steps(*shape, seed)
    expected = values[where(found), symbols] * (units[0][:, None] * units[1])
    blocks = []
    with pytest.MonkeyPatch.context() as patch:
        for backend in ("compiled", "plain"):
            patch.setenv("SUBBIT_KERNELS", backend)
            blocks.append(encode(symbols, tables, found))
            out = np.full(shape, np.nan, np.float32)
            decode(blocks[0], Tables.of(tables, values), found, *units, out)
            np.testing.assert_array_equal(out, expected)
    assert blocks[0] == blocks[1]


@pytest.mark.parametrize("backend", ["compiled", "plain"])
def test_four_lanes(backend: str, monkeypatch: pytest.MonkeyPatch) -> None:
    symbols, counts, found = sample(256, 512, 0.3, True, 0, 8, 16)
    levels = Levels.fit(counts)
    tables, values = Runs.of(levels, True), values_of(levels, True)
    assert lanes_for(symbols.size) == 4
    data = encode(symbols, tables, found)
    monkeypatch.setenv("SUBBIT_KERNELS", backend)
    out, ones = np.empty(symbols.shape, np.float32), (np.ones(256, np.float32), np.ones(512, np.float32))
    decode(data, Tables.of(tables, values), found, *ones, out)
    np.testing.assert_array_equal(out, symbols)


@pytest.mark.parametrize("signed", [True, False])
@pytest.mark.parametrize("spread", SPREADS)
@pytest.mark.parametrize(("span", "contexts"), [(0, 1), (12, 16)])
def test_size_is_the_models_cost(spread: float, signed: bool, span: int, contexts: int) -> None:
    symbols, counts, found = sample(455, 576, spread, signed, 1, span, contexts)
    levels = Levels.fit(counts)
    ideal = levels.cost(counts) + signed * int(counts[:, 1:].sum())
    assert 8 * len(encode(symbols, Runs.of(levels, signed), found)) <= 1.0025 * ideal + 32 * 4


@few
@given(st.integers(0, 999), st.sampled_from(SPREADS), st.booleans())
def test_tables_hold_every_symbol_that_can_occur(seed: int, spread: float, signed: bool) -> None:
    _, counts, _ = sample(40, 60, spread, signed, seed, 12, 16)
    levels = Levels.fit(counts)
    tables = Runs.of(levels, signed)
    assert (tables.bounds[:, -1] == 4096).all()
    assert (np.diff(tables.bounds.astype(np.int64), axis=1) >= 0).all()
    assert (tables.longest * tables.widths < 256).all()
    assert (tables.longest <= LONGEST).all()
    signs = 2 if signed else 1
    for chances, own, bounds, tails in zip(levels.chances, tables.own, tables.bounds, tables.tails, strict=True):
        possible = np.repeat(chances[1:] > 0, signs)
        assert ((np.diff(bounds[: own + 1].astype(np.int64)) > 0) == possible[:own]).all()
        assert (np.diff(tails[: possible.size - own + 1].astype(np.int64)) > 0).tolist() == possible[own:].tolist()


def test_sparse_weights_take_few_symbols() -> None:
    levels = Levels.fit(np.array([[9100, 900], [5000, 5000], [9990, 10], [500, 9500]]))
    assert Runs.of(levels, True).longest.tolist() == [16, 2, 64, 1]


def test_certain_weights_take_no_data() -> None:
    for counts, signed, level in (([5], True, 0), ([5], False, 0), ([0, 0, 5], False, 2)):
        levels = Levels.fit(np.array([counts]))
        tables = Runs.of(levels, signed)
        assert tables.certain
        out, ones = np.empty((3, 4), np.float32), (np.ones(3, np.float32), np.ones(4, np.float32))
        found = field(np.random.default_rng(0), 3, 4, 0, 1)
        decode(None, Tables.of(tables, np.arange(levels.count, dtype=np.float32)[None]), found, *ones, out)
        assert (out == level).all()
    assert not Runs.of(Levels.fit(np.array([[0, 5]])), True).certain


def test_impossible_levels_are_refused() -> None:
    symbols, counts, found = sample(5, 20, 1.0, True, 0)
    tables = Runs.of(Levels.fit(counts), True)
    symbols[3, 7] = 200
    for backend in ("compiled", "plain"):
        with pytest.MonkeyPatch.context() as patch:
            patch.setenv("SUBBIT_KERNELS", backend)
            with pytest.raises(SubbitError) as caught:
                encode(symbols, tables, found)
        assert caught.value.kind == "symbols"


@pytest.mark.parametrize("backend", ["compiled", "plain"])
def test_damage_is_an_error_or_other_weights(backend: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SUBBIT_KERNELS", backend)
    symbols, counts, found = sample(20, 70, 1.5, True, 3, 2, 16)
    levels = Levels.fit(counts)
    tables, values = Runs.of(levels, True), values_of(levels, True)
    data, ones = encode(symbols, tables, found), (np.ones(20, np.float32), np.ones(70, np.float32))
    cases = [data[:-2], data + b"\0\0", data[:-1], b"", data[:4]]
    for bit in range(0, 8 * len(data), 7):
        damaged = bytearray(data)
        damaged[bit // 8] ^= 1 << bit % 8
        cases.append(bytes(damaged))
    kinds = []
    for case in cases:
        out = np.zeros(symbols.shape, np.float32)
        try:
            decode(case, Tables.of(tables, values), found, *ones, out)
        except SubbitError as error:
            kinds.append(error.kind)
    assert set(kinds) == {"section"}
    assert len(kinds) > 0.9 * len(cases)


def test_columns_are_visited_by_falling_density() -> None:
    found = Field.of(np.zeros(1, np.int32), np.array([1, 3, 0, 3], np.int32), 0, 2)
    assert found.order.tolist() == [1, 3, 0, 2]
    assert found.above.tolist() == [4, 3, 2, 2]
    assert replace(found, rows=np.arange(5, dtype=np.int32)).take(slice(2, 4)).rows.tolist() == [2, 3]
