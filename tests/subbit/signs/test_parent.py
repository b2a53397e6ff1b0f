from __future__ import annotations

from typing import Any

import ml_dtypes
import numpy as np
import pytest
from checks import check_codec, weights

from subbit.bits.packing import pack_signs
from subbit.codecs import Codec, LowBit, Scales, Signed
from subbit.errors import SubbitError
from subbit.records import matrix_shape
from subbit.signs import Base, from_dict, signs, to_dict
from subbit.tensors import decode, encode


def tuned(parent: np.ndarray, flips: float, seed: int = 1) -> np.ndarray:
    """Magnitudes of their own under the parent's signs, some of them turned over."""
    random = np.random.default_rng(seed)
    magnitudes = np.abs(random.standard_normal(parent.shape))
    return np.copysign(magnitudes, np.where(random.random(parent.shape) < flips, -parent, parent)).astype(np.float32)


def entropy(p: float) -> float:
    return float(-p * np.log2(p) - (1 - p) * np.log2(1 - p))


@pytest.mark.parametrize("side", [512, 768])
def test_flips_against_the_parent_cost_their_entropy_and_no_sign_is_lost(side: int) -> None:
    parent = weights((side, side))
    weight = tuned(parent, flips=0.05)
    encoded = encode(weight, Signed(Base(), Scales()), parent=parent)
    assert "signs" not in encoded.sections
    assert 8 * len(encoded.sections["flips"]) / encoded.weights <= 1.03 * entropy(0.05)
    assert np.array_equal(np.signbit(decode(encoded, parent=parent)), np.signbit(weight))


def test_dropping_the_smallest_costs_less_and_turns_only_those() -> None:
    parent = weights((256, 256))
    weight = tuned(parent, flips=0.05)
    kept, dropped = (encode(weight, Signed(Base(), Scales(), drop), parent=parent) for drop in (0.0, 0.5))
    assert len(dropped.sections["flips"]) < 0.8 * len(kept.sections["flips"])
    turned = np.signbit(decode(dropped, parent=parent)) != np.signbit(weight)
    assert turned.any()
    assert np.abs(weight)[turned].max() <= 0.51 * np.abs(weight).mean()


@pytest.mark.parametrize("dtype", [np.float32, np.float64, np.float16, ml_dtypes.bfloat16, ml_dtypes.float8_e4m3fn])
@pytest.mark.parametrize("shape", [(1, 1), (17, 130), (3, 5, 7)])
def test_contract_whatever_the_parents_type(shape: tuple[int, ...], dtype: Any) -> None:
    parent = (50 * weights(shape)).astype(dtype)
    plane = Base().given(parent)
    matrix = parent.reshape(matrix_shape(shape))
    assert np.array_equal(signs(plane, b"", *matrix.shape), pack_signs(matrix))
    check_codec(Signed(plane, LowBit(2.0)), tuned(weights(shape), 0.1), max_error=0.9)


def test_it_comes_back_from_json_without_the_tensor() -> None:
    plane = Base().given(weights((3, 4)))
    again = from_dict(to_dict(plane))
    assert again == plane
    with pytest.raises(SubbitError) as caught:
        signs(again, b"", 3, 4)
    assert caught.value.kind == "parent"


def refusals() -> list[tuple[Codec, np.ndarray | None, str]]:
    parent = weights((8, 64))
    codec = Signed(Base().given(parent), Scales())
    broken = parent.copy()
    broken[3, 5] = np.nan
    return [
        (Signed(Base(), Scales()), None, "needs its tensor of a parent checkpoint"),
        (Signed(Base(codec.signs.parent), Scales()), None, f"content hash {codec.signs.parent}"),  # type: ignore[attr-defined]
        (codec, parent[:, ::-1], "is needed"),
        (Signed(Base(), Scales()), parent.reshape(64, 8), "has shape"),
        (Signed(Base(), Scales()), broken, "NaN or infinite"),
        (Signed(Base(), Scales()), parent.view(np.int32), "int32"),
    ]


@pytest.mark.parametrize(("codec", "parent", "text"), refusals())
def test_parents_that_do_not_fit_are_refused(codec: Codec, parent: np.ndarray | None, text: str) -> None:
    with pytest.raises(SubbitError, match=text) as caught:
        encode(weights((8, 64)), codec, parent=parent)
    assert caught.value.kind == "parent"
