from __future__ import annotations

from dataclasses import replace

import ml_dtypes
import numpy as np
import pytest
from checks import relative_error, same_bits, weights

from subbit import tensors
from subbit.codecs import Codec, DeadZone, Dense, LowBit, Signed, Uniform
from subbit.coders.adaptive import IntegerWriter
from subbit.errors import SubbitError
from subbit.records import Encoded
from subbit.signs import Hashed

CODECS = [DeadZone(2.0), Uniform(4), Signed(Hashed(), LowBit(1.0)), Dense()]


@pytest.mark.parametrize("codec", CODECS, ids=lambda codec: codec.id)
@pytest.mark.parametrize("dtype", [np.float32, np.float64, np.float16, ml_dtypes.bfloat16, ml_dtypes.float8_e4m3fn])
def test_round_trip(codec: Codec, dtype: type) -> None:
    weight = (20 * weights((30, 5, 7))).astype(dtype)
    encoded = tensors.encode(weight, codec)
    decoded = tensors.decode(encoded)
    assert (decoded.shape, decoded.dtype) == (weight.shape, weight.dtype)
    assert tensors.relative_error(weight, decoded) < 0.25
    out = np.empty(weight.shape, np.float16)
    assert tensors.decode(encoded, out) is out


@pytest.mark.parametrize("kind", [">f4", ">f8", ">f2"])
def test_foreign_byte_order_and_strides(kind: str) -> None:
    weight = weights((40, 30))
    native = weight.astype(np.dtype(kind).newbyteorder("="))
    for codec in CODECS:
        for same in (native.astype(kind), np.asfortranarray(native), np.repeat(native, 2, axis=1)[:, ::2]):
            assert tensors.encode(same, codec) == tensors.encode(native, codec)


@pytest.mark.parametrize("codec", CODECS[:3], ids=lambda codec: codec.id)
@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
def test_weights_that_are_no_numbers(codec: Codec, bad: float) -> None:
    weight = weights((600, 700)).astype(np.float16)
    weight[599, 699] = bad
    assert not tensors.is_finite(weight)
    with pytest.raises(SubbitError) as caught:
        tensors.encode(weight, codec)
    assert caught.value.kind == "nonfinite"
    same_bits(tensors.decode(tensors.encode(weight, Dense())), weight)


def test_weights_beyond_float32() -> None:
    with pytest.raises(SubbitError) as caught:
        tensors.encode(np.full((3, 4), 1e300), DeadZone())
    assert caught.value.kind == "nonfinite"
    assert not tensors.decode(tensors.encode(np.full((3, 4), 1e-300), DeadZone())).any()


@pytest.mark.parametrize(
    ("weight", "kind"),
    [
        (np.zeros((3, 4), np.int32), "dtype"), (np.zeros((3, 4), bool), "dtype"), (np.zeros((3, 4), complex), "dtype"),
        (np.ones((3, 4), ml_dtypes.float8_e8m0fnu), "dtype"), (np.zeros(5, np.float32), "shape"),
        (np.float32(3), "shape"), (np.zeros((0, 4), np.float32), "shape"), (np.zeros((3, 4), object), "dtype"),
    ],
)  # fmt: skip
def test_tensors_that_only_dense_can_hold(weight: np.ndarray, kind: str) -> None:
    for codec in CODECS[:3]:
        with pytest.raises(SubbitError) as caught:
            tensors.encode(weight, codec)
        assert caught.value.kind == kind


@pytest.mark.parametrize(
    "importance", [np.ones((3, 3)), np.full((8, 1), -1.0), np.full((8, 1), np.nan), np.full((1, 9), np.inf)]
)
def test_bad_importance(importance: np.ndarray) -> None:
    with pytest.raises(SubbitError) as caught:
        tensors.encode(weights((8, 9)), DeadZone(), importance)
    assert caught.value.kind == "importance"


@pytest.mark.parametrize("shape", [(0, 0), (0, 5), (5, 0), (0,), (0, 1 << 40)])
def test_what_holds_no_weights_is_refused_before_its_sections_are_read(shape: tuple[int, ...]) -> None:
    numbers = IntegerWriter()
    numbers.add(np.array([2**32 - 1, 0, 0]))  # latents: as many as fit into no bytes of signs
    sections = {"rows": b"", "columns": b"", "scales": np.float32(1).tobytes() + numbers.finish()}
    with pytest.raises(SubbitError) as caught:
        tensors.decode(Encoded("factors", {}, shape, "float32", sections))
    assert caught.value.kind == "shape"
    same_bits(tensors.decode(Dense().encode(np.zeros((0, 5), np.float32))), np.zeros((0, 5), np.float32))


@pytest.mark.parametrize("shape", [(1,), (8, 1), (1, 9), (8, 9)])
def test_importance_broadcasts(shape: tuple[int, ...]) -> None:
    for codec in CODECS:
        assert tensors.encode(weights((8, 9)), codec, np.ones(shape)).weights == 72


@pytest.mark.parametrize("codec", CODECS, ids=lambda codec: codec.id)
def test_outputs_that_do_not_fit(codec: Codec) -> None:
    encoded = tensors.encode(weights((6, 8)), codec)
    frozen = np.empty((6, 8), np.float32)
    frozen.flags.writeable = False
    bad = [np.empty((6, 8), dtype) for dtype in (np.int32, bool, complex)]
    strided = np.empty((6, 16), np.float32)[:, ::2]
    bad += [np.empty((8, 6), np.float32), np.empty((6, 8), np.float32, "F"), strided, frozen]
    for out in bad:
        with pytest.raises(SubbitError) as caught:
            tensors.decode(encoded, out)
        assert caught.value.kind in ("out", "dtype")


def test_integers_decode_into_integers() -> None:
    values = np.arange(12, dtype=np.int16).reshape(3, 4)
    out = np.empty((3, 4), np.int16)
    same_bits(tensors.decode(tensors.encode(values, Dense()), out), values)


def test_unknown_codec() -> None:
    encoded = tensors.encode(weights((6, 8)), DeadZone())
    for broken in (
        replace(encoded, codec="zip"),
        replace(encoded, knobs={"rate": 99}),
        replace(encoded, knobs={"x": 1}),
    ):
        with pytest.raises(SubbitError):
            tensors.decode(broken)


def test_relative_error() -> None:
    weight = weights((600, 700))
    assert tensors.relative_error(weight, weight) == 0
    assert tensors.relative_error(weight, np.zeros_like(weight)) == 1
    assert tensors.relative_error(weight, 0.9 * weight) == pytest.approx(relative_error(weight, 0.9 * weight))
    zeros = np.zeros((3, 4), np.float32)
    assert tensors.relative_error(zeros, zeros) == 0
    assert tensors.relative_error(zeros, zeros + 1) == float("inf")
    assert tensors.relative_error(zeros[:0], zeros[:0]) == 0
    odd = np.float32([[np.nan, np.inf, -np.inf, 1]])
    assert tensors.relative_error(odd, odd) == 0
    assert not tensors.relative_error(odd, np.ones_like(odd)) < 1
