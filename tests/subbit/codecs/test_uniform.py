from __future__ import annotations

from dataclasses import replace

import ml_dtypes
import numpy as np
import pytest
from checks import ODD_SHAPES, check_codec, weights
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from subbit.codecs.uniform import Uniform
from subbit.errors import SubbitError


@pytest.mark.parametrize("shape", ODD_SHAPES)
@pytest.mark.parametrize(("width", "group"), [(8, 64), (3, 5), (2, 1)])
def test_contract(shape: tuple[int, ...], width: int, group: int) -> None:
    codec = Uniform(width, group)
    encoded = check_codec(codec, weights(shape), max_error=1.0)
    assert encoded.bits == codec.bits(shape)


@pytest.mark.parametrize("dtype", [np.float16, ml_dtypes.bfloat16, np.float64])
def test_other_types(dtype: type) -> None:
    check_codec(Uniform(), weights((9, 70), dtype=dtype), max_error=1e-4)


def test_error_is_at_most_half_a_step() -> None:
    weight = weights((40, 200))
    for width in range(2, 9):
        codec = Uniform(width, 50)
        peaks = np.abs(weight).reshape(40, 4, 50).max(axis=2, keepdims=True)
        steps = peaks / (2 ** (width - 1) - 1) * (1 + 2**-10)
        errors = np.abs(codec.decode(codec.encode(weight)) - weight).reshape(40, 4, 50)
        assert (errors <= steps * 0.5001).all()


def test_several_blocks() -> None:
    check_codec(Uniform(4, 64), weights((700, 400)), max_error=0.02)


def test_cost_is_width_and_scales() -> None:
    assert Uniform(8, 64).bits((64, 128)) == 64 * 128 * 8 + 64 * 2 * 16 + 32
    assert Uniform(3, 64).bits((1, 3)) == 16 + 16 + 32


@given(
    arrays(np.float32, (3, 10), elements=st.floats(allow_nan=False, allow_infinity=False, width=32)),
    st.integers(2, 8),
)
@settings(deadline=None, max_examples=60)
def test_any_finite_values(weight: np.ndarray, width: int) -> None:
    codec = Uniform(width, 4)
    decoded = codec.decode(codec.encode(weight))
    assert np.isfinite(decoded).all()
    assert (decoded[weight == 0] == 0).all()
    peaks = np.abs(weight.astype(np.float64)).max()
    assert (np.abs(decoded.astype(np.float64) - weight) <= 0.51 * peaks).all()


@pytest.mark.parametrize("peak", [3.4028235e38, 1e30, 1e-30, 1e-44, 0.0])
def test_extreme_ranges(peak: float) -> None:
    weight = (weights((4, 64)) / np.abs(weights((4, 64))).max()).astype(np.float64) * peak
    check_codec(Uniform(8, 16), weight.astype(np.float32), max_error=0.01 if peak > 1e-40 else None)


def test_empty_matrix() -> None:
    for shape in ((0, 5), (5, 0)):
        codec = Uniform()
        encoded = codec.encode(np.zeros(shape, np.float32))
        assert encoded.bits == codec.bits(shape)
        assert codec.decode(encoded).shape == shape


def test_bad_scales_are_refused() -> None:
    codec = Uniform()
    encoded = codec.encode(weights((2, 64)))
    scales = bytearray(encoded.sections["scales"])
    scales[4:6] = np.float16(np.nan).tobytes()
    with pytest.raises(SubbitError, match="scale"):
        codec.decode(replace(encoded, sections={**encoded.sections, "scales": bytes(scales)}))


@pytest.mark.parametrize("knobs", [{"width": 1}, {"width": 9}, {"group": 0}, {"width": True}, {"group": 2.0}])
def test_bad_knobs(knobs: dict[str, int]) -> None:
    with pytest.raises(SubbitError) as caught:
        Uniform(**knobs)
    assert caught.value.kind == "knobs"
