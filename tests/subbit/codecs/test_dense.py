from __future__ import annotations

from dataclasses import replace

import ml_dtypes
import numpy as np
import pytest
import zstandard
from checks import ODD_SHAPES, check_codec, same_bits, weights
from hypothesis import given, settings
from hypothesis import strategies as st

from subbit.codecs.dense import Dense
from subbit.errors import SubbitError
from subbit.records import Encoded
from subbit_formats.dtypes import FLOATS, ITEM_SIZES, numpy_dtype

CODEC = Dense()


def zeros(frame: bytes, count: int = 64) -> Encoded:
    return Encoded("dense", {}, (count,), "uint8", {"data": b"\x01" + frame})


@pytest.mark.parametrize("shape", ODD_SHAPES)
def test_contract(shape: tuple[int, ...]) -> None:
    check_codec(CODEC, weights(shape), max_error=0.0)


@given(
    st.sampled_from(sorted(ITEM_SIZES)),
    st.lists(st.integers(0, 9), max_size=4),
    st.randoms(use_true_random=False),
)
@settings(deadline=None, max_examples=80)
def test_every_bit_of_every_type_and_shape(name: str, shape: list[int], random: object) -> None:
    size = int(np.prod(shape, dtype=int)) * ITEM_SIZES[name]
    octets = np.frombuffer(random.randbytes(size), np.uint8)  # type: ignore[attr-defined]
    tensor = (octets & 1 if name == "bool" else octets).view(numpy_dtype(name)).reshape(shape)
    encoded = CODEC.encode(tensor)
    same_bits(CODEC.decode(encoded), tensor)
    assert encoded.bits <= CODEC.bits(tensor.shape, name)


@pytest.mark.parametrize("name", sorted(ITEM_SIZES))
def test_compressible_tensors_of_every_type(name: str) -> None:
    tensor = np.ones((50, 3), numpy_dtype(name))
    encoded = CODEC.encode(tensor)
    assert encoded.bits < 8 * tensor.nbytes / 2
    same_bits(CODEC.decode(encoded), tensor)


def test_views_and_byte_orders() -> None:
    tensor = weights((6, 8))
    for view in (tensor.T, tensor[::2, 1::3], tensor.astype(">f4")):
        decoded = CODEC.decode(CODEC.encode(view))
        same_bits(decoded, np.array(view, np.float32, order="C"))


def test_trained_weights_shrink() -> None:
    tensor = weights((256, 256))
    assert CODEC.encode(tensor).bits_per_weight < 28.5
    assert CODEC.encode(tensor.astype(ml_dtypes.bfloat16)).bits_per_weight < 13


def test_wide_floats_are_rounded_once() -> None:
    # Just above the middle of two bfloat16 (or float16) neighbours, by less than float32 can tell.
    above = np.array([1 + 2**-8 + 2**-30, 1 + 2**-11 + 2**-30, -1 - 2**-8 - 2**-30, np.inf, 1e300, 1 + 2**-8])
    out = CODEC.decode(CODEC.encode(above), np.empty(6, ml_dtypes.bfloat16)).astype(np.float64)
    assert out.tolist() == [1 + 2**-7, 1, -1 - 2**-7, np.inf, np.inf, 1]
    half = CODEC.decode(CODEC.encode(above[1:2]), np.empty(1, np.float16))
    assert half[0] == 1 + 2**-10
    single = CODEC.decode(CODEC.encode(above[:1]), np.empty(1, np.float32))
    assert single[0] == np.float32(above[0])


@pytest.mark.parametrize("source", sorted(FLOATS))
def test_floats_decode_into_floats(source: str) -> None:
    tensor = weights((4, 5)).astype(numpy_dtype(source))
    for dtype in (np.float32, np.float16, np.float64):
        out = np.empty((4, 5), dtype)
        assert CODEC.decode(CODEC.encode(tensor), out) is out
        np.testing.assert_array_equal(out, tensor.astype(dtype))


def test_integers_do_not_decode_into_floats() -> None:
    with pytest.raises(SubbitError, match="int32"):
        CODEC.decode(CODEC.encode(np.arange(3, dtype=np.int32)), np.empty(3, np.float32))


def test_frames_are_measured_before_they_are_decoded() -> None:
    good = zstandard.ZstdCompressor().compress(bytes(64))
    assert not CODEC.decode(zeros(good)).any()
    bomb = zstandard.ZstdCompressor().compress(bytes(1 << 30))
    unstated = zstandard.ZstdCompressor(write_content_size=False).compress(bytes(64))
    shorter = zstandard.ZstdCompressor().compress(bytes(63))
    for frame in (bomb, unstated, shorter, good + good, good + b"\0", good[:-1], b"", bytes(20), good[:4]):
        with pytest.raises(SubbitError) as caught:
            CODEC.decode(zeros(frame))
        assert caught.value.kind == "section"


@pytest.mark.parametrize("data", [b"", b"\x00", b"\x02" + bytes(64), bytes(64), bytes(66)])
def test_bad_sections(data: bytes) -> None:
    with pytest.raises(SubbitError) as caught:
        CODEC.decode(replace(zeros(b""), sections={"data": data}))
    assert caught.value.kind == "section"
