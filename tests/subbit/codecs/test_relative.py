from __future__ import annotations

from dataclasses import replace
from typing import Any

import ml_dtypes
import numpy as np
import pytest
from checks import ODD_SHAPES, check_codec, relative_error, same_bits, weights

from subbit.codecs import DeadZone, Delta, LowBit, Same, Signed, from_dict, relative_part, to_dict
from subbit.errors import SubbitError
from subbit.parents import content_hash
from subbit.signs import Base, Stored
from subbit.tensors import decode, encode


def tuned(parent: np.ndarray, step: float = 0.05, dtype: Any = np.float32) -> np.ndarray:
    return (parent.astype(np.float32) + step * weights(parent.shape, 9)).astype(dtype)


@pytest.mark.parametrize("shape", ODD_SHAPES)
def test_contract_of_delta(shape: tuple[int, ...]) -> None:
    parent = weights(shape)
    check_codec(Delta(rate=2.0).given(parent), tuned(parent), max_error=0.003)


@pytest.mark.parametrize("dtype", [np.float64, np.float16, ml_dtypes.bfloat16])
def test_parent_and_weights_may_differ_in_type(dtype: Any) -> None:
    parent = weights((33, 70))
    check_codec(Delta(rate=2.0).given(parent.astype(dtype)), tuned(parent), max_error=0.003)
    check_codec(Delta(rate=2.0).given(parent), tuned(parent, dtype=dtype), max_error=0.003)


def test_a_small_step_from_the_parent_costs_little() -> None:
    parent = weights((512, 512))
    weight = tuned(parent, step=0.05)
    encoded = encode(weight, Delta(rate=0.25), parent=parent)
    assert encoded.bits_per_weight <= 0.25
    error = relative_error(weight, decode(encoded, parent=parent))
    assert error <= 0.85 * relative_error(weight, parent) < 0.01
    assert error < 0.01 * relative_error(weight, DeadZone(rate=0.25).decode(DeadZone(rate=0.25).encode(weight)))


@pytest.mark.parametrize("dtype", [np.float32, ml_dtypes.bfloat16, np.int64, np.bool_])
@pytest.mark.parametrize("shape", [(), (5,), (0, 3), (4, 5, 6)])
def test_same_is_every_bit_of_any_tensor_for_nothing(shape: tuple[int, ...], dtype: Any) -> None:
    tensor = np.random.default_rng(0).integers(0, 2, shape).astype(dtype)
    encoded = encode(tensor, Same(), parent=tensor)
    assert encoded.bits == 0
    same_bits(decode(encoded, parent=lambda: tensor), tensor)


def test_same_keeps_nan_and_rounds_once_into_other_floats() -> None:
    tensor = np.array([np.nan, -0.0, 1 + 2**-30, np.inf], np.float64)
    encoded = encode(tensor, Same(), parent=tensor)
    same_bits(decode(encoded, parent=tensor), tensor)
    out = np.empty(4, np.float32)
    assert decode(encoded, out, tensor) is out
    same_bits(out, tensor.astype(np.float32))


def test_same_refuses_a_tensor_that_differs_in_one_bit() -> None:
    parent = weights((4, 5))
    with pytest.raises(SubbitError, match="differs from the parent") as caught:
        encode(np.nextafter(parent, np.float32(9)), Same(), parent=parent)
    assert caught.value.kind == "parent"


def test_a_parent_that_leaves_float32_is_refused() -> None:
    huge = np.full((4, 4), 3e38, np.float32)
    for parent in (huge, np.full((4, 4), 1e300)):
        with pytest.raises(SubbitError) as caught:
            encode(-huge, Delta(), parent=parent)
        assert caught.value.kind == "parent"


def test_decoding_compares_hash_shape_and_knobs() -> None:
    parent = weights((6, 7))
    for codec in (Delta(rate=2.0), Signed(Base(), LowBit(2.0)), Same()):
        encoded = encode(parent, codec, parent=parent)
        for other in (None, parent + 1, parent.T.copy(), parent.astype(np.float64)):
            with pytest.raises(SubbitError) as caught:
                decode(encoded, parent=other)
            assert caught.value.kind == "parent"
        knobs = {**encoded.knobs, "parent": None} if "parent" in encoded.knobs else None
        with pytest.raises(SubbitError, match="names no parent"):
            decode(replace(encoded, knobs=knobs or {**encoded.knobs, "signs": {"kind": "base"}}), parent=parent)
    with pytest.raises(SubbitError):
        decode(replace(encoded, shape=(7, 6)), parent=parent)


def test_a_parent_is_read_only_where_it_is_needed() -> None:
    def read() -> np.ndarray:
        raise AssertionError("read")

    weight = weights((6, 7))
    for codec in (DeadZone(2.0), Signed(Stored(), LowBit(2.0))):
        assert relative_part(codec) is None
        decode(encode(weight, codec, parent=read), parent=read)


def test_codecs_come_back_from_json() -> None:
    parent = weights((6, 7))
    for codec in (Delta(rate=0.3), Same(), Signed(Base(), LowBit(0.5))):
        assert from_dict(to_dict(codec)) == codec
        part = relative_part(codec)
        assert part is not None
        assert part.parent is None
        encoded = encode(parent, codec, parent=parent)
        assert content_hash(parent) in str(encoded.knobs)
