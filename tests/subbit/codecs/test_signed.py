from __future__ import annotations

import tracemalloc
from dataclasses import replace
from typing import Any

import ml_dtypes
import numpy as np
import pytest
from checks import ODD_SHAPES, check_codec, relative_error, same_bits, weights

from subbit.bits.packing import unpack_signs
from subbit.codecs import LowBit, Scales, Signed, Vector, from_dict, to_dict
from subbit.errors import SubbitError
from subbit.records import matrix_shape
from subbit.signs import Angle, Fitted, Hadamard, Hashed, LowRank, Stored, signs

PLANES = [Angle(3), LowRank(seed=4, rank=16), Hadamard(5), Hashed(6), Fitted(), Stored()]
MAGNITUDES = [LowBit(1.0), Scales(), Scales(rank=2), Vector(4, 16)]
FLIP_ENTROPY = 0.083 * 1.03


def templated(plane: Any, shape: tuple[int, int], flips: float = 0.0, seed: int = 0) -> np.ndarray:
    """Gaussian magnitudes under the signs of a plane, some of them turned over."""
    random = np.random.default_rng(seed)
    magnitudes = np.abs(random.standard_normal(shape)).astype(np.float32)
    negative = unpack_signs(signs(plane, b"", *shape), shape[1]).astype(bool)
    return np.where(negative ^ (random.random(shape) < flips), -magnitudes, magnitudes)


@pytest.mark.parametrize("shape", ODD_SHAPES)
@pytest.mark.parametrize("plane", PLANES, ids=lambda plane: plane.kind)
def test_contract_of_every_plane(plane: Any, shape: tuple[int, ...]) -> None:
    check_codec(Signed(plane, Scales()), weights(shape), max_error=0.9)


@pytest.mark.parametrize("plane", PLANES, ids=lambda plane: plane.kind)
@pytest.mark.parametrize("magnitudes", MAGNITUDES, ids=lambda part: part.kind)
def test_contract_of_every_pair(plane: Any, magnitudes: Any) -> None:
    for shape in [(1, 1), (17, 33), (3, 5, 7)]:
        check_codec(Signed(plane, magnitudes), weights(shape), max_error=0.9)
    check_codec(Signed(plane, magnitudes, drop=0.3), weights((17, 65)), max_error=0.9)


@pytest.mark.parametrize("plane", PLANES[:4], ids=lambda plane: plane.kind)
def test_signs_come_back_whatever_the_plane(plane: Any) -> None:
    for weight in (weights((30, 70)), templated(plane, (30, 70)), templated(plane, (30, 70), 0.1)):
        decoded = Signed(plane, Scales()).decode(Signed(plane, Scales()).encode(weight))
        assert np.array_equal(np.signbit(decoded), np.signbit(weight))


@pytest.mark.parametrize("plane", PLANES[:4], ids=lambda plane: plane.kind)
def test_template_signs_cost_nothing(plane: Any) -> None:
    weight = templated(plane, (1024, 1024))
    encoded = Signed(plane, LowBit(0.5)).encode(weight)
    assert {"signs", "flips"}.isdisjoint(encoded.sections)
    assert encoded.bits_per_weight <= 0.5
    assert relative_error(weight, Signed(plane, LowBit(0.5)).decode(encoded)) <= 0.19


def test_vector_magnitudes_at_half_a_bit() -> None:
    weight = templated(Hashed(1), (2048, 2048))
    codec = Signed(Hashed(1), Vector(16, 128))
    encoded = codec.encode(weight)
    assert encoded.bits_per_weight <= 0.5
    assert relative_error(weight, codec.decode(encoded)) <= 0.21


@pytest.mark.parametrize("plane", [Angle(1), Hashed(2)], ids=lambda plane: plane.kind)
def test_flips_cost_their_entropy(plane: Any) -> None:
    encoded = Signed(plane, Scales()).encode(templated(plane, (1024, 1024), flips=0.01))
    assert 8 * len(encoded.sections["flips"]) / encoded.weights <= FLIP_ENTROPY


def test_fitted_finds_an_angle_template() -> None:
    encoded = Signed(Fitted(), Scales()).encode(templated(Angle(9), (512, 700)))
    assert 8 * len(encoded.sections["signs"]) / encoded.weights < 0.06
    assert 8 * len(encoded.sections.get("flips", b"")) / encoded.weights < 0.012


def test_drop_gives_up_small_flips_only() -> None:
    weight = templated(Hashed(0), (200, 300), flips=0.2)
    kept, dropped = (Signed(Hashed(0), Scales(), drop) for drop in (0.0, 0.5))
    assert len(dropped.encode(weight).sections["flips"]) < 0.85 * len(kept.encode(weight).sections["flips"])
    decoded = dropped.decode(dropped.encode(weight))
    large = np.abs(weight) > 0.51 * np.abs(weight).mean()
    assert np.array_equal(np.sign(decoded)[large], np.sign(weight)[large])


def test_zeros_cost_no_flips() -> None:
    weight = templated(Hashed(0), (64, 64))
    weight[::2] = 0
    assert "flips" not in Signed(Hashed(0), Scales()).encode(weight).sections
    for zeros in (np.zeros((9, 70), np.float32), -np.zeros((9, 70), np.float32)):
        encoded = check_codec(Signed(Angle(), LowBit(0.5)), zeros)
        assert not Signed(Angle(), LowBit(0.5)).decode(encoded).any()


def test_weights_are_left_alone() -> None:
    weight = weights((40, 50))
    before = weight.copy()
    Signed(Stored(), LowBit(1.0), drop=0.1).encode(weight)
    same_bits(weight, before)


@pytest.mark.parametrize("dtype", [np.float64, np.float16, ml_dtypes.bfloat16, ml_dtypes.float8_e4m3fn])
def test_element_types(dtype: type) -> None:
    check_codec(Signed(Hashed(), LowBit(1.0)), (50 * weights((33, 70))).astype(dtype), max_error=0.4)


def test_a_foreign_section_of_signs_is_refused() -> None:
    encoded = Signed(Hashed(), Scales()).encode(weights((20, 30)))
    with pytest.raises(SubbitError) as caught:
        Signed(Hashed(), Scales()).decode(replace(encoded, sections={**encoded.sections, "signs": b"\1"}))
    assert caught.value.kind == "section"


@pytest.mark.parametrize("dtype", [np.float32, np.float16, ml_dtypes.bfloat16])
@pytest.mark.parametrize("codec", [from_dict({"codec": "deadzone"}), Signed(Hashed(), LowBit(0.5))])
def test_decoding_into_out_allocates_blocks_only(codec: Any, dtype: type) -> None:
    weight = templated(Hashed(), (2048, 2048), flips=0.01)
    encoded, out = codec.encode(weight), np.empty((2048, 2048), dtype)
    codec.decode(encoded, out)  # whatever is compiled and cached
    tracemalloc.start()
    codec.decode(encoded, out)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    blocks = 2 * (1 << 18) * (4 + 1 + 1 + 4)  # two threads: float32, symbols, contexts, words
    assert peak < blocks + 2 * encoded.bits / 8 + weight.size / 8 + (1 << 20)
    assert peak < 0.7 * weight.nbytes


@pytest.mark.parametrize("plane", PLANES, ids=lambda plane: plane.kind)
@pytest.mark.parametrize("magnitudes", MAGNITUDES, ids=lambda part: part.kind)
def test_as_a_dictionary(plane: Any, magnitudes: Any) -> None:
    codec = Signed(plane, magnitudes, drop=0.25)
    assert from_dict(to_dict(codec)) == codec
    assert codec.bits((1, 1)) >= codec.encode(weights((1, 1))).bits


@pytest.mark.parametrize("drop", [-0.1, float("inf"), float("nan")])
def test_bad_drop(drop: float) -> None:
    with pytest.raises(SubbitError) as caught:
        Signed(Angle(), Scales(), drop)
    assert caught.value.kind == "knobs"


@pytest.mark.parametrize(
    "value",
    [
        {"codec": "signed"},
        {"codec": "signed", "signs": {"kind": "angle"}},
        {"codec": "signed", "signs": "angle", "magnitudes": {"kind": "lowbit"}},
        {"codec": "signed", "signs": {"kind": "no"}, "magnitudes": {"kind": "lowbit"}},
        {"codec": "signed", "signs": {"kind": "angle"}, "magnitudes": {"kind": "no"}},
        {"codec": "signed", "signs": {"kind": "angle"}, "magnitudes": {"kind": "lowbit", "rate": "x"}},
        {"codec": "signed", "signs": {"kind": "angle"}, "magnitudes": {"kind": "lowbit", "rats": 1}},
        {"codec": "signed", "signs": {"kind": "angle"}, "magnitudes": {"kind": "lowbit"}, "drop": "x"},
        {"codec": "no"}, {"codec": None}, {},
    ],
)  # fmt: skip
def test_dictionaries_that_name_no_codec(value: dict[str, Any]) -> None:
    with pytest.raises(SubbitError):
        from_dict(value)


def test_tensors_are_seen_as_matrices() -> None:
    weight = weights((4, 6, 3, 3))
    plane = templated(Angle(2), matrix_shape(weight.shape)).reshape(weight.shape)
    assert "flips" not in Signed(Angle(2), Scales()).encode(plane).sections
