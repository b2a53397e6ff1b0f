from __future__ import annotations

from contextlib import suppress
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from checks import ODD_SHAPES, check_codec, check_magnitudes, relative_error, weights
from hypothesis import given, settings
from hypothesis import strategies as st

import subbit
from subbit.codecs.blocks import Filler, decode_matrix
from subbit.codecs.magnitudes.trellis import TrellisMagnitudes
from subbit.codecs.trellis.codec import Trellis
from subbit.codecs.trellis.estimate import estimate
from subbit.codecs.trellis.reading import Reader
from subbit.curvature import Curvature
from subbit.errors import SubbitError
from subbit.records import Encoded, matrix_shape


def gaussian(rows: int, cols: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).standard_normal((rows, cols)).astype(np.float32)


def lost(weight: np.ndarray, **knobs: Any) -> float:
    codec = Trellis(**knobs)
    return relative_error(weight, codec.decode(codec.encode(weight)))


def magnitudes_back(part: TrellisMagnitudes, matrix: np.ndarray) -> np.ndarray:
    sections = part.encode(matrix)
    encoded = Encoded("trellis", {}, matrix.shape, "float32", sections)
    return decode_matrix(encoded, None, Filler(*part.decoder(sections, *matrix.shape)))


@pytest.mark.parametrize("shape", ODD_SHAPES)
@pytest.mark.parametrize("variable", [True, False])
def test_contract(shape: tuple[int, ...], variable: bool) -> None:
    check_codec(Trellis(1.0, variable, 8), weights(shape), max_error=1.0)


@pytest.mark.parametrize("shape", ODD_SHAPES)
@pytest.mark.parametrize(("rate", "group"), [(1.0, 4), (0.625, 8), (0.3, 2), (2.0, 4)])
def test_contract_of_groups(shape: tuple[int, ...], rate: float, group: int) -> None:
    check_codec(Trellis(rate, False, 8, group=group), weights(shape), max_error=1.0)
    magnitudes = np.abs(weights(matrix_shape(shape)))
    check_magnitudes(TrellisMagnitudes(rate, False, 8, group), magnitudes, max_error=1.0)


def test_groups_lose_little() -> None:
    weight = gaussian(256, 512)
    alone = lost(weight, rate=1.0, variable=False)
    assert lost(weight, rate=1.0, variable=False, group=2) < 1.02 * alone
    assert lost(weight, rate=1.0, variable=False, group=4) < 1.05 * alone


@pytest.mark.parametrize("knobs", [{"group": 3}, {"group": 4}, {"variable": False, "group": 8, "rate": 1.5}])
def test_groups_that_cannot_be(knobs: dict[str, Any]) -> None:
    with pytest.raises(SubbitError, match="group") as caught:
        Trellis(**knobs)
    assert caught.value.kind == "knobs"


@pytest.mark.parametrize("shape", ODD_SHAPES)
def test_contract_of_magnitudes(shape: tuple[int, ...]) -> None:
    check_magnitudes(TrellisMagnitudes(0.7, state_bits=8), np.abs(weights(matrix_shape(shape))), max_error=1.0)


@pytest.mark.parametrize("rate", [0.05, 0.125, 0.3, 1.5, 2.6, 8.0])
def test_rates(rate: float) -> None:
    check_codec(Trellis(rate, state_bits=8), weights((40, 23)))
    check_codec(Trellis(rate, False, 9), weights((40, 23)))


@pytest.mark.parametrize(
    ("rate", "bound"),
    [(0.125, 0.88), (0.25, 0.755), (0.5, 0.56), (0.667, 0.46), (1.0, 0.305), (1.5, 0.17), (2.0, 0.105)],
)
def test_gaussian_weights(rate: float, bound: float) -> None:
    """Eight state bits; Shannon's bounds are .841, .707, .5, .397, .25, .125, .0625."""
    weight = gaussian(128, 257)
    assert lost(weight, rate=rate, state_bits=8) <= bound
    assert lost(weight, rate=rate, state_bits=8, variable=False) <= bound


def test_state_bits_pay() -> None:
    weight = gaussian(64, 256)
    errors = [lost(weight, rate=0.5, state_bits=bits) for bits in (8, 11, 14)]
    assert errors[0] > errors[1] + 0.005 > errors[2] + 0.007


def test_template_signed_weights() -> None:
    matrix = np.abs(gaussian(128, 256))
    assert relative_error(matrix, magnitudes_back(TrellisMagnitudes(0.5, state_bits=10), matrix)) <= 0.178
    assert relative_error(matrix, magnitudes_back(TrellisMagnitudes(0.02), matrix)) <= 0.37


def test_uneven_rows_and_columns_get_the_bits() -> None:
    random = np.random.default_rng(3)
    uneven = gaussian(192, 256) * np.exp(random.standard_normal((192, 1))) * np.exp(random.standard_normal(256))
    uneven = uneven.astype(np.float32)
    assert lost(uneven, rate=0.5, state_bits=8) < 0.7 * lost(uneven, rate=0.5, state_bits=8, variable=False)


def test_heavy_tails_get_values_for_them() -> None:
    heavy = np.random.default_rng(4).standard_t(5, (128, 256)).astype(np.float32)
    encoded = Trellis(1.0, state_bits=8).encode(heavy)
    assert encoded.sections["codes"][0] & 4
    assert not Trellis(1.0, state_bits=8).encode(gaussian(128, 256)).sections["codes"][0] & 4
    assert relative_error(heavy, Trellis(state_bits=8).decode(encoded)) < 0.33


@pytest.mark.parametrize("variable", [True, False])
def test_importance_moves_the_error(variable: bool) -> None:
    weight = weights((96, 64))
    curvature = Curvature(np.where(np.arange(64) < 32, 25.0, 1.0), np.ones(96))
    codec = Trellis(0.7, variable, 8)
    weighted = codec.decode(check_codec(codec, weight, curvature.importance()))
    plain = codec.decode(codec.encode(weight))
    assert curvature.error(weight - weighted) < (0.75 if variable else 0.97) * curvature.error(weight - plain)
    assert subbit.encode(weight, codec, curvature).sections == codec.encode(weight, curvature.importance()).sections


def test_importance_of_nothing_is_none() -> None:
    weight = weights((20, 30))
    codec = Trellis(state_bits=8)
    assert codec.encode(weight, np.zeros((1, 1))).sections == codec.encode(weight).sections


@pytest.mark.parametrize("scale", [1e-44, 1e-38, 1e-30, 1e30, 1e38])
def test_any_range_of_floats(scale: float) -> None:
    weight = np.clip(gaussian(20, 33).astype(np.float64) * scale, -3e38, 3e38).astype(np.float32)
    check_codec(Trellis(1.0, state_bits=8), weight)
    check_magnitudes(TrellisMagnitudes(1.0, state_bits=8), np.abs(weight))
    if 1e-38 < scale < 1e38:
        assert lost(weight, rate=1.0, state_bits=8) < 0.4


def test_zeros_cost_next_to_nothing() -> None:
    encoded = check_codec(Trellis(state_bits=8), np.zeros((300, 40), np.float32), max_error=0)
    assert encoded.bits <= 32 * 8
    check_magnitudes(TrellisMagnitudes(state_bits=8), np.zeros((30, 40), np.float32), max_error=0)


def test_dead_rows_stay_dead() -> None:
    weight = gaussian(40, 60)
    weight[[0, 7, 39]] = 0
    codec = Trellis(1.0, state_bits=8)
    assert np.abs(codec.decode(codec.encode(weight))[[0, 7, 39]]).max() < 1e-3


def test_wide_rows_and_many_tiles() -> None:
    assert lost(gaussian(2, 17000), rate=0.5, state_bits=8) <= 0.57
    check_codec(Trellis(1.0, False, 8), gaussian(236, 70), max_error=0.31)


def test_blocks_of_rows_stand_alone() -> None:
    weight = gaussian(600, 512)
    codec = Trellis(0.25, state_bits=8)
    encoded = codec.encode(weight)
    whole = codec.decode(encoded)
    reader = Reader.of(np.frombuffer(encoded.sections["codes"], np.uint8), 600, 512, 8, signed=True)
    height = reader.block_rows
    assert height < 600
    last = np.empty((600 - height, 512), np.float32)
    reader.fill(height, 600, last)
    assert (last == whole[height:]).all()


def test_bad_models_are_refused() -> None:
    codec = Trellis(1.0, state_bits=8)
    encoded = codec.encode(weights((30, 40)))
    codes = bytes(encoded.sections["codes"])
    nan, minus = np.float32(np.nan).tobytes(), np.float32(-1).tobytes()
    for broken in (
        b"\x03" + codes[1:],
        b"\x08" + codes[1:],
        codes[:1] + nan + codes[5:],
        codes[:5] + minus + codes[9:],
    ):
        with pytest.raises(SubbitError) as caught:
            codec.decode(replace(encoded, sections={"codes": broken}))
        assert caught.value.kind == "section"


@settings(deadline=None, max_examples=60)
@given(st.data())
def test_damage_never_reads_out_of_bounds(data: st.DataObject) -> None:
    codec = Trellis(1.0, state_bits=8)
    encoded = codec.encode(weights((9, 31)))
    codes = bytearray(encoded.sections["codes"])
    for _ in range(data.draw(st.integers(1, 3))):
        codes[data.draw(st.integers(0, len(codes) - 1))] = data.draw(st.integers(0, 255))
    with suppress(SubbitError):
        codec.decode(replace(encoded, sections={"codes": bytes(codes)}))


@pytest.mark.parametrize(
    "knobs", [{"rate": 0}, {"rate": 9.0}, {"rate": True}, {"variable": 1}, {"state_bits": 7}, {"state_bits": 17}]
)
def test_bad_knobs(knobs: dict[str, Any]) -> None:
    for make in (Trellis, TrellisMagnitudes):
        with pytest.raises(SubbitError) as caught:
            make(**knobs)
        assert caught.value.kind == "knobs"


@pytest.mark.parametrize("shape", [(1, 1), (1, 7), (3, 1), (17, 33), (64, 129), (3, 5, 7)])
def test_contract_with_rotation(shape: tuple[int, ...]) -> None:
    check_codec(Trellis(1.0, state_bits=8, rotation=7), weights(shape))


def test_rotation_tames_outliers() -> None:
    weight = gaussian(100, 129)
    weight[np.random.default_rng(5).random(weight.shape) < 0.002] *= 30
    assert lost(weight, rate=1.0, state_bits=8, rotation=2**64 - 1) < 0.31
    assert lost(weight, rate=1.0, state_bits=8) > 0.4


def test_rotation_of_large_numbers_stays_finite() -> None:
    check_codec(Trellis(1.0, state_bits=8, rotation=0), (gaussian(64, 64) * 1e35).astype(np.float32), max_error=0.4)


def test_estimates() -> None:
    rates = [0.25, 0.5, 1.0, 2.0]
    outliers = gaussian(150, 200) + 8 * (np.random.default_rng(1).random((150, 200)) < 1e-3)
    for weight in (gaussian(128, 300), weights((150, 200)), outliers.astype(np.float32)):
        for rate, (bits, expected) in zip(rates, estimate(weight, rates), strict=True):
            assert lost(weight, rate=rate) == pytest.approx(expected, rel=0.08)
            assert Trellis(rate).encode(weight).bits <= bits <= rate * weight.size
    for gap in (0.0, 0.5):
        size = gap + abs(gaussian(128, 300))
        found = [relative_error(size, magnitudes_back(TrellisMagnitudes(rate), size)) for rate in rates[:3]]
        assert found == pytest.approx([error for _, error in estimate(size, rates[:3], signed=False)], rel=0.06)
    assert [error for _, error in estimate(np.zeros((3, 4), np.float32), rates)] == [0, 0, 0, 0]


def test_estimates_of_one_rate_and_of_few_states() -> None:
    weight, rates = gaussian(128, 300), [0.25, 1.0]
    for knobs in ({"variable": False}, {"state_bits": 9}):
        for rate, (bits, expected) in zip(rates, estimate(weight, rates, **knobs), strict=True):
            encoded = Trellis(rate, **knobs).encode(weight)
            assert encoded.bits <= bits
            assert lost(weight, rate=rate, **knobs) == pytest.approx(expected, rel=0.06)
