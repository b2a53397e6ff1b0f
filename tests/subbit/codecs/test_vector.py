from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from checks import ODD_SHAPES, check_magnitudes, relative_error, weights

from subbit.codecs.blocks import Filler, decode_matrix
from subbit.codecs.magnitudes.vector import Vector
from subbit.errors import SubbitError
from subbit.records import Encoded, matrix_shape


def magnitudes(rows: int, cols: int, seed: int = 0) -> np.ndarray:
    return np.abs(weights((rows, cols), seed))


def decode(part: Vector, matrix: np.ndarray, importance: np.ndarray | None = None) -> np.ndarray:
    sections = part.encode(matrix, importance)
    encoded = Encoded("vector", {}, matrix.shape, "float32", sections)
    return decode_matrix(encoded, None, Filler(*part.decoder(sections, *matrix.shape)))


@pytest.mark.parametrize("shape", ODD_SHAPES)
@pytest.mark.parametrize(("dim", "entries"), [(16, 256), (5, 7), (1, 2)])
def test_contract(shape: tuple[int, ...], dim: int, entries: int) -> None:
    check_magnitudes(Vector(dim, entries), magnitudes(*matrix_shape(shape)), max_error=0.8)


def test_twelve_bit_codes() -> None:
    check_magnitudes(Vector(2, 2049), magnitudes(60, 71), max_error=0.001)


def test_gaussian_magnitudes_at_half_a_bit() -> None:
    matrix = magnitudes(512, 512)
    sections = Vector(14, 128).encode(matrix)
    assert len(sections["codes"]) * 8 / matrix.size < 0.52
    assert relative_error(matrix, decode(Vector(14, 128), matrix)) <= 0.19


def test_several_chunks_and_blocks() -> None:
    check_magnitudes(Vector(16, 64), magnitudes(700, 400), np.ones((1, 400)), max_error=0.25)


def test_codebook_takes_sixteen_bits_where_eight_would_hurt() -> None:
    plain, outlier = magnitudes(64, 64), magnitudes(64, 64)
    outlier[3, 5] = 1000 * outlier.max()
    assert Vector(2, 64).encode(plain)["codebook"][0] == 0
    row = np.repeat(np.float32([0.1, 0.33, 0.7, 2.0]), 16)
    levels = np.random.default_rng(0).permuted(np.tile(row, (64, 1)), axis=1)
    assert Vector(1, 4).encode(levels)["codebook"][0] == 1
    check_magnitudes(Vector(1, 4), levels, max_error=1e-6)
    check_magnitudes(Vector(2, 64), outlier)


def test_zero_rows_and_zero_matrices_stay_zero() -> None:
    matrix = magnitudes(20, 33)
    matrix[[0, 7, 19]] = 0
    decoded = decode(Vector(4, 16), matrix)
    assert not decoded[[0, 7, 19]].any()
    assert not decode(Vector(4, 16), np.zeros((5, 6), np.float32)).any()
    check_magnitudes(Vector(4, 16), np.zeros((5, 6), np.float32))


@pytest.mark.parametrize("shape", [(0, 5), (5, 0)])
def test_empty_matrix(shape: tuple[int, int]) -> None:
    assert decode(Vector(), np.zeros(shape, np.float32)).shape == shape


def test_a_small_matrix_has_a_small_codebook() -> None:
    assert Vector(16, 256).bits(2, 32) == 8 * (2 * 1 + (4 + 4) + (5 + 2 * 16 * 4))
    assert relative_error(magnitudes(2, 32), decode(Vector(16, 256), magnitudes(2, 32))) < 1e-3


def test_importance_moves_the_codebook() -> None:
    matrix = magnitudes(200, 64)
    matrix[:100] **= 3
    matrix /= np.sqrt((matrix**2).mean(axis=1, keepdims=True))
    importance = np.where(np.arange(200) < 100, 100.0, 1.0)[:, None]
    check_magnitudes(Vector(8, 16), matrix, importance)
    plain, weighted = decode(Vector(8, 16), matrix), decode(Vector(8, 16), matrix, importance)
    assert relative_error(matrix[:100], weighted[:100]) < relative_error(matrix[:100], plain[:100])
    assert relative_error(matrix[100:], weighted[100:]) > relative_error(matrix[100:], plain[100:])


def test_seed_and_ranges() -> None:
    matrix = magnitudes(64, 64)
    assert Vector(8, 16, seed=1).encode(matrix) != Vector(8, 16, seed=0).encode(matrix)
    for scale in (1e30, 1e-30):
        scaled = (matrix * scale).astype(np.float32)
        assert relative_error(scaled, decode(Vector(8, 16), scaled)) < 0.25


def test_any_code_reads_inside_the_codebook() -> None:
    part, matrix = Vector(4, 5), magnitudes(10, 30)
    sections = part.encode(matrix)
    sections["codes"] = b"\xff" * len(sections["codes"])
    encoded = Encoded("vector", {}, matrix.shape, "float32", sections)
    assert not decode_matrix(encoded, None, Filler(*part.decoder(sections, *matrix.shape))).any()


def test_bad_codebooks_are_refused() -> None:
    part, matrix = Vector(1, 4), magnitudes(10, 30)
    encoded = Encoded("vector", {}, matrix.shape, "float32", part.encode(matrix))
    book = encoded.sections["codebook"]
    negative, infinite = book[:1] + np.float32(-1).tobytes() + book[5:], b"\x01" + book[1:5] + b"\x00\xfc" * 4
    for broken in (b"\x02" + book[1:], negative, infinite, b""):
        damaged = replace(encoded, sections={**encoded.sections, "codebook": broken})
        with pytest.raises(SubbitError) as caught:
            part.decoder(damaged.sections, *matrix.shape)
        assert caught.value.kind == "section"


@pytest.mark.parametrize("knobs", [{"dim": 0}, {"entries": 4097}, {"entries": 2.5}, {"seed": -1}])
def test_bad_knobs(knobs: dict[str, int]) -> None:
    with pytest.raises(SubbitError) as caught:
        Vector(**knobs)
    assert caught.value.kind == "knobs"
