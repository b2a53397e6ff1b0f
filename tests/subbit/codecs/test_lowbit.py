from __future__ import annotations

import numpy as np
import pytest
from checks import ODD_SHAPES, check_magnitudes, relative_error, weights

from subbit.codecs.blocks import Filler, decode_matrix
from subbit.codecs.magnitudes.lowbit import LowBit
from subbit.errors import SubbitError
from subbit.records import Encoded, matrix_shape


def magnitudes(rows: int, cols: int, seed: int = 0) -> np.ndarray:
    return np.abs(weights((rows, cols), seed))


def decode(part: LowBit, matrix: np.ndarray, importance: np.ndarray | None = None) -> np.ndarray:
    sections = part.encode(matrix, importance)
    encoded = Encoded("lowbit", {}, matrix.shape, "float32", sections)
    return decode_matrix(encoded, None, Filler(*part.decoder(sections, *matrix.shape)))


@pytest.mark.parametrize("shape", ODD_SHAPES)
@pytest.mark.parametrize("rate", [0.5, 2.0])
def test_contract(shape: tuple[int, ...], rate: float) -> None:
    check_magnitudes(LowBit(rate), magnitudes(*matrix_shape(shape)), max_error=0.6)


def test_half_normal_magnitudes() -> None:
    matrix = np.abs(np.random.default_rng(0).standard_normal((512, 512))).astype(np.float32)
    for rate, bound in {0.01: 0.364, 0.25: 0.26, 0.5: 0.185, 1.0: 0.095}.items():
        assert relative_error(matrix, decode(LowBit(rate), matrix)) <= bound


def test_a_constant_costs_next_to_nothing_and_is_exact() -> None:
    matrix = np.full((100, 77), 0.37, np.float32)
    assert np.allclose(decode(LowBit(0.01), matrix), 0.37, rtol=5e-3)
    assert 8 * sum(map(len, LowBit(0.01).encode(matrix).values())) <= LowBit(0.01).bits(100, 77) == 512


def test_zeros_stay_zero() -> None:
    assert not decode(LowBit(1.0), np.zeros((20, 33), np.float32)).any()
    matrix = magnitudes(20, 33)
    matrix[[3, 11]] = 0
    assert relative_error(matrix, decode(LowBit(4.0), matrix)) < 0.02


def test_importance_of_rows() -> None:
    matrix = np.abs(np.random.default_rng(0).standard_normal((256, 256))).astype(np.float32)
    importance = np.where(np.arange(256) < 64, 100.0, 1.0)[:, None]
    plain, weighted = decode(LowBit(0.5), matrix), decode(LowBit(0.5), matrix, importance)
    assert relative_error(matrix[:64], weighted[:64]) < 0.8 * relative_error(matrix[:64], plain[:64])


@pytest.mark.parametrize("knobs", [{"rate": 0}, {"rate": 12.5}])
def test_bad_knobs(knobs: dict[str, float]) -> None:
    with pytest.raises(SubbitError) as caught:
        LowBit(**knobs)  # type: ignore[arg-type]
    assert caught.value.kind == "knobs"
