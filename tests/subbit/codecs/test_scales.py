from __future__ import annotations

import numpy as np
import pytest
from checks import ODD_SHAPES, check_magnitudes, relative_error, weights

from subbit.codecs.blocks import Filler, decode_matrix
from subbit.codecs.magnitudes.scales import Scales
from subbit.errors import SubbitError
from subbit.records import Encoded, matrix_shape


def decode(part: Scales, matrix: np.ndarray, importance: np.ndarray | None = None) -> np.ndarray:
    sections = part.encode(matrix, importance)
    encoded = Encoded("scales", {}, matrix.shape, "float32", sections)
    return decode_matrix(encoded, None, Filler(*part.decoder(sections, *matrix.shape)))


def product(rows: int, cols: int, rank: int) -> np.ndarray:
    random = np.random.default_rng(rank)
    return (random.random((rows, rank)) @ random.random((rank, cols))).astype(np.float32)


@pytest.mark.parametrize("shape", ODD_SHAPES)
@pytest.mark.parametrize("rank", [1, 3])
def test_contract(shape: tuple[int, ...], rank: int) -> None:
    check_magnitudes(Scales(rank), np.abs(weights(matrix_shape(shape))), max_error=0.5)


def test_products_come_back() -> None:
    assert relative_error(product(40, 70, 1), decode(Scales(1), product(40, 70, 1))) < 1e-4
    assert relative_error(product(40, 70, 3), decode(Scales(3), product(40, 70, 3))) < 2e-3
    assert relative_error(product(40, 70, 3), decode(Scales(1), product(40, 70, 3))) > 0.01


def test_several_chunks_and_blocks() -> None:
    check_magnitudes(Scales(2), np.abs(weights((700, 400))), max_error=0.38)


def test_gaussian_magnitudes_keep_their_mean() -> None:
    matrix = np.abs(weights((256, 256)))
    assert abs(relative_error(matrix, decode(Scales(), matrix)) - (1 - 2 / np.pi)) < 0.01


def test_uneven_factors_take_sixteen_bits() -> None:
    even, uneven = product(30, 30, 1), product(30, 30, 1)
    uneven[0] *= 1e4
    assert Scales().encode(np.abs(weights((64, 64))))["factors"][0] == 0
    assert Scales().encode(uneven)["factors"][0] == 1
    assert relative_error(even, decode(Scales(), even)) < 1e-4


def test_importance_decides_which_rows_fit() -> None:
    matrix = product(60, 50, 4)
    importance = np.where(np.arange(50) < 10, 1000.0, 1.0)[None]
    check_magnitudes(Scales(), matrix, importance)
    plain, weighted = decode(Scales(), matrix), decode(Scales(), matrix, importance)
    assert relative_error(matrix[:, :10], weighted[:, :10]) < relative_error(matrix[:, :10], plain[:, :10])


@pytest.mark.parametrize("shape", [(0, 5), (5, 0)])
def test_empty_matrix(shape: tuple[int, int]) -> None:
    assert decode(Scales(2), np.zeros(shape, np.float32)).shape == shape


def test_zeros_and_ranges() -> None:
    check_magnitudes(Scales(2), np.zeros((5, 6), np.float32))
    matrix = np.abs(weights((20, 30)))
    matrix[4], matrix[:, 9] = 0, 0
    decoded = decode(Scales(), matrix)
    assert not decoded[4].any()
    assert not decoded[:, 9].any()
    for scale in (1e30, 1e-30):
        assert relative_error(matrix * scale, decode(Scales(), (matrix * scale).astype(np.float32))) < 0.5


def test_cost() -> None:
    assert Scales(2).bits(10, 20) == 8 * (1 + 2 * (8 + 2 * 30))


def test_bad_factors_are_refused() -> None:
    data = Scales().encode(product(4, 5, 1))["factors"]
    for broken in (b"\x02" + data[1:], data[:1] + np.float32(np.inf).tobytes() + data[5:], b""):
        with pytest.raises(SubbitError) as caught:
            Scales().decoder({"factors": broken}, 4, 5)
        assert caught.value.kind == "section"


@pytest.mark.parametrize("rank", [0, 65, 1.5])
def test_bad_knobs(rank: int) -> None:
    with pytest.raises(SubbitError) as caught:
        Scales(rank)
    assert caught.value.kind == "knobs"
