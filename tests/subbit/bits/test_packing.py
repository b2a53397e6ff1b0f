from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from subbit.bits import packing
from subbit.errors import SubbitError

given_any = settings(deadline=None, max_examples=60)
seeds = st.integers(0, 2**32 - 1)


@given_any
@given(width=st.integers(1, 16), count=st.integers(0, 70), seed=seeds)
def test_packed_integers_come_back_from_the_fewest_bytes(width: int, count: int, seed: int) -> None:
    values = np.random.default_rng(seed).integers(0, 1 << width, count).astype(np.uint16)
    packed = packing.pack(values, width)
    assert packed.dtype == np.uint8
    assert packed.size == packing.packed_size(count, width) == -(-count * width // 8)
    unpacked = packing.unpack(packed.tobytes(), count, width)
    assert unpacked.dtype == np.uint16
    np.testing.assert_array_equal(unpacked, values)


@given_any
@given(width=st.integers(1, 16), count=st.integers(0, 70), seed=seeds)
def test_packing_is_one_stream_of_bits_lowest_first(width: int, count: int, seed: int) -> None:
    values = np.random.default_rng(seed).integers(0, 1 << width, count)
    stream = "".join(format(value, f"0{width}b")[::-1] for value in values)
    number = int(stream[::-1] or "0", 2)
    size = packing.packed_size(count, width)
    assert packing.pack(values, width).tobytes() == number.to_bytes(size, "little")


def test_packed_bytes_are_fixed() -> None:
    assert packing.pack(np.array([1, 2, 3, 4, 5]), 3).tobytes().hex() == "d158"
    assert packing.pack(np.array([0xABC, 0x123], np.uint16), 12).tobytes().hex() == "bc3a12"


@given_any
@given(widths=st.lists(st.integers(0, 32), max_size=50), seed=seeds)
def test_fields_of_mixed_widths_come_back(widths: list[int], seed: int) -> None:
    sizes = np.array(widths, np.int64)
    values = np.random.default_rng(seed).integers(0, 1 << 32, sizes.size) & ((1 << sizes) - 1)
    packed = packing.pack_fields(values, sizes)
    assert packed.size == -(-sum(widths) // 8)
    np.testing.assert_array_equal(packing.unpack_fields(packed.tobytes(), sizes), values)


def test_fields_of_one_width_are_packed_integers() -> None:
    values = np.arange(1000) % 32
    np.testing.assert_array_equal(packing.pack_fields(values, np.full(1000, 5)), packing.pack(values, 5))


@pytest.mark.parametrize("value", [-1, 8])
def test_a_value_that_does_not_fit_is_refused(value: int) -> None:
    with pytest.raises(SubbitError) as caught:
        packing.pack(np.array([0, value]), 3)
    assert caught.value.kind == "symbols"


@pytest.mark.parametrize("width", [0, 17])
def test_widths_end_at_1_and_16(width: int) -> None:
    with pytest.raises(SubbitError):
        packing.pack(np.array([0]), width)
    with pytest.raises(SubbitError):
        packing.unpack(b"\0", 1, width)


@pytest.mark.parametrize("data", [b"\xd1", b"\xd1\x58\x00", b"\xd1\xd8", b""])
def test_wrong_length_and_nonzero_fill_are_refused(data: bytes) -> None:
    with pytest.raises(SubbitError) as caught:
        packing.unpack(data, 5, 3)
    assert caught.value.kind == "section"
    with pytest.raises(SubbitError):
        packing.unpack_fields(data, np.full(5, 3))


@given_any
@given(rows=st.integers(0, 5), cols=st.integers(0, 200), seed=seeds)
def test_signs_come_back(rows: int, cols: int, seed: int) -> None:
    matrix = np.random.default_rng(seed).normal(size=(rows, cols)).astype(np.float32)
    words = packing.pack_signs(matrix)
    assert words.dtype == np.uint64
    assert words.shape == (rows, -(-cols // 64))
    np.testing.assert_array_equal(packing.unpack_signs(words, cols), matrix < 0)
    np.testing.assert_array_equal(packing.pack_signs(matrix < 0), words)
    assert packing.popcount(words) == np.count_nonzero(matrix < 0)


def test_sign_words_are_lowest_bit_first_and_minus_zero_is_negative() -> None:
    row = np.ones((1, 66), np.float32)
    row[0, [1, 64]] = [-0.0, -2.0]
    np.testing.assert_array_equal(packing.pack_signs(row), [[2, 1]])
