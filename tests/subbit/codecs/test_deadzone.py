from __future__ import annotations

from contextlib import suppress
from dataclasses import replace

import ml_dtypes
import numpy as np
import pytest
from checks import ODD_SHAPES, check_codec, check_same_bytes, relative_error, weights
from hypothesis import given, settings
from hypothesis import strategies as st

from subbit.codecs import DeadZone, Signed
from subbit.codecs.magnitudes.lowbit import LowBit
from subbit.codecs.scalar.model import Model
from subbit.errors import SubbitError
from subbit.records import matrix_shape
from subbit.signs import Stored


def hostile(kind: str, shape: tuple[int, ...]) -> np.ndarray:
    """Weights that no training makes, but that files hold."""
    matrix = weights(shape)
    flat = matrix.reshape(-1)
    if kind in ("zeros", "signed zeros", "one weight"):
        flat[:] = 0
    if kind == "signed zeros":
        flat[::2] = -0.0
    elif kind == "one weight":
        flat[flat.size // 2] = -0.3
    elif kind == "constant":
        flat[:] = -0.7
    elif kind == "alternating":
        flat[:] = 1
        flat[::2] = -1
    elif kind == "outlier":
        flat[flat.size // 3] = 1e30
    elif kind == "largest":
        flat[:] = np.copysign(np.finfo(np.float32).max, flat)
    elif kind == "subnormal":
        flat *= np.float32(1e-40)
    elif kind == "nearly subnormal":
        flat *= np.float32(1e-35)
    elif kind == "every size":
        flat *= (10.0 ** np.linspace(-44, 37, flat.size)).astype(np.float32)
    return matrix


HOSTILE = [
    "zeros", "signed zeros", "one weight", "constant", "alternating", "outlier", "largest", "subnormal",
    "nearly subnormal", "every size",
]  # fmt: skip


def importance(shape: tuple[int, ...]) -> np.ndarray:
    """Rows and columns that matter more or less, by powers of two."""
    rows, cols = matrix_shape(shape)
    random = np.random.default_rng(rows + 1000 * cols)
    return np.ldexp(1.0, random.integers(-6, 7, (rows, 1)) + random.integers(-6, 7, (1, cols)))


@pytest.mark.parametrize("shape", ODD_SHAPES)
@pytest.mark.parametrize("rate", [0.8, 3.0])
@pytest.mark.parametrize("weighted", [False, True])
def test_contract(shape: tuple[int, ...], rate: float, weighted: bool) -> None:
    check_codec(DeadZone(rate), weights(shape), importance(shape) if weighted else None, None if weighted else 0.9)


@pytest.mark.parametrize("kind", HOSTILE)
@pytest.mark.parametrize("rate", [0.01, 1.0, 8.0])
def test_hostile_weights(kind: str, rate: float) -> None:
    for shape in [(1, 1), (1, 300), (300, 1), (17, 33), (64, 129)]:
        weight = hostile(kind, shape)
        for codec in (DeadZone(rate), Signed(Stored(), LowBit(rate))):
            encoded = codec.encode(weight)
            assert encoded.bits <= codec.bits(shape)
            decoded = codec.decode(encoded)
            assert np.isfinite(decoded).all()
            exact = weight.astype(np.float64)
            assert ((exact - decoded) ** 2).sum() <= (exact**2).sum() * 1.0001
        if kind in ("zeros", "signed zeros", "one weight", "constant", "outlier"):
            assert relative_error(weight, DeadZone(8.0).decode(DeadZone(8.0).encode(weight))) < 1e-3


@pytest.mark.parametrize("kind", ["largest", "outlier", "nearly subnormal", "every size"])
def test_hostile_weights_have_the_same_bytes_everywhere(kind: str) -> None:
    weight = hostile(kind, (64, 129))
    for codec in (DeadZone(1.0), DeadZone(3.0)):
        check_same_bytes(codec, codec.encode(weight), weight)


@pytest.mark.parametrize(
    "dtype", [np.float64, np.float16, ml_dtypes.bfloat16, ml_dtypes.float8_e4m3fn, ml_dtypes.float8_e5m2]
)
def test_element_types(dtype: type) -> None:
    check_codec(DeadZone(2.0), (50 * weights((33, 70))).astype(dtype), max_error=0.2)


@settings(deadline=None, max_examples=30)
@given(
    rows=st.integers(1, 40), cols=st.integers(1, 40), rate=st.floats(0.01, 12.0), weighted=st.booleans(),
    power=st.integers(-44, 38), seed=st.integers(0, 99),
)  # fmt: skip
def test_any_matrix(rows: int, cols: int, rate: float, weighted: bool, power: int, seed: int) -> None:
    with np.errstate(over="ignore"):
        weight = np.random.default_rng(seed).standard_cauchy((rows, cols)) * 10.0**power
        weight = np.clip(weight, -3e38, 3e38).astype(np.float32)
    codec = DeadZone(rate)
    encoded = codec.encode(weight, importance((rows, cols)) if weighted else None)
    assert encoded.bits <= codec.bits(weight.shape)
    assert np.isfinite(codec.decode(encoded)).all()


def test_budget_is_spent() -> None:
    weight = weights((512, 512))
    for rate in (0.1, 0.3, 0.8, 2.0, 4.0):
        assert 0.985 * rate <= DeadZone(rate).encode(weight).bits_per_weight <= rate


def test_error_falls_with_the_rate() -> None:
    weight = np.random.default_rng(0).standard_normal((512, 512)).astype(np.float32)
    bounds = {0.5: 0.625, 1.0: 0.355, 2.0: 0.095, 4.0: 0.007, 8.0: 1e-4}  # Gaussian, FACTS of the scalar quantizer
    for rate, bound in bounds.items():
        assert relative_error(weight, DeadZone(rate).decode(DeadZone(rate).encode(weight))) <= bound


def test_contexts_pay_where_rows_and_columns_differ() -> None:
    random = np.random.default_rng(0)
    flat = random.standard_normal((256, 256)).astype(np.float32)
    uneven = flat * np.exp(random.standard_normal((256, 1)) + random.standard_normal((1, 256))).astype(np.float32)
    codec = DeadZone(1.0)
    assert relative_error(uneven, codec.decode(codec.encode(uneven))) < 0.25 * 0.355


def test_weights_beyond_the_last_level_are_exact_to_a_step() -> None:
    weight = weights((128, 128))
    weight[5, 7], weight[100, 3] = 4.0, -6.0
    encoded = DeadZone(3.0).encode(weight)
    model, _ = Model.read(np.frombuffer(encoded.sections["codes"], np.uint8), 128, 128, signed=True)
    assert model.beyond.positions.tolist() == [5 * 128 + 7, 100 * 128 + 3]
    decoded = DeadZone(3.0).decode(encoded)
    assert abs(decoded[5, 7] - 4) < 0.01
    assert abs(decoded[100, 3] + 6) < 0.01
    check_codec(DeadZone(3.0), weight, max_error=0.01)


@pytest.mark.filterwarnings("error")
def test_weights_beyond_an_output_are_infinite_without_a_warning() -> None:
    weight = weights((128, 128))
    weight[5, 7] = -1e6
    decoded = DeadZone(3.0).decode(DeadZone(3.0).encode(weight), np.empty(weight.shape, np.float16))
    assert np.flatnonzero(np.isneginf(decoded)).tolist() == [5 * 128 + 7]


def test_several_blocks_of_rows() -> None:
    check_codec(DeadZone(1.0), weights((700, 900)), max_error=0.35)


def test_importance_of_rows() -> None:
    weight = np.random.default_rng(0).standard_normal((256, 256)).astype(np.float32)
    importance = np.where(np.arange(256) < 64, 100.0, 1.0)[:, None]
    plain, weighted = (DeadZone(0.8).decode(DeadZone(0.8).encode(weight, i)) for i in (None, importance))
    assert relative_error(weight[:64], weighted[:64]) < 0.4 * relative_error(weight[:64], plain[:64])
    check_codec(DeadZone(0.8), weight, importance)


def test_rows_of_no_importance_do_not_hide_the_others() -> None:
    weight = np.random.default_rng(0).standard_normal((256, 256)).astype(np.float32)
    importance = np.where(np.arange(256) < 64, 100.0, 1.0)[:, None]
    importance[255] = 0
    decoded = DeadZone(0.8).decode(DeadZone(0.8).encode(weight, importance))
    assert relative_error(weight[:64], decoded[:64]) < 0.2
    assert DeadZone(0.8).encode(weight, np.zeros((256, 1))).bits <= DeadZone(0.8).bits(weight.shape)


@pytest.mark.parametrize("scale", [2.0**-1000, 2.0**1000])
def test_importance_of_any_scale(scale: float) -> None:
    weight = weights((64, 64))
    importance = scale * np.where(np.arange(64) < 16, 10.0, 1.0)[:, None]
    assert DeadZone(1.0).encode(weight, importance) == DeadZone(1.0).encode(weight, importance / scale)


@pytest.mark.parametrize("step", [0.0, -1.0, np.nan, np.inf, 3e38])
def test_impossible_steps_are_refused(step: float) -> None:
    encoded = DeadZone(3.0).encode(hostile("every size", (64, 64)), importance((64, 64)))
    codes = np.float32(step).tobytes() + bytes(encoded.sections["codes"])[4:]
    with pytest.raises(SubbitError) as caught:
        DeadZone(3.0).decode(replace(encoded, sections={"codes": codes}))
    assert caught.value.kind == "section"


def test_flipped_bits_give_an_error_or_finite_shapes() -> None:
    encoded = DeadZone(2.0).encode(weights((20, 70)), importance((20, 70)))
    random = np.random.default_rng(0)
    for name, section in encoded.sections.items():
        for _ in range(150):
            data = bytearray(section)
            data[random.integers(len(data))] ^= 1 << int(random.integers(8))
            with suppress(SubbitError):
                decoded = DeadZone().decode(replace(encoded, sections={**encoded.sections, name: bytes(data)}))
                assert decoded.shape == (20, 70)


@pytest.mark.parametrize(
    "knobs",
    [{"rate": 0}, {"rate": -1.0}, {"rate": 13}, {"rate": float("nan")}, {"rate": True}],
)
def test_bad_knobs(knobs: dict[str, float]) -> None:
    with pytest.raises(SubbitError) as caught:
        DeadZone(**knobs)  # type: ignore[arg-type]
    assert caught.value.kind == "knobs"
