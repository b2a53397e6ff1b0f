from __future__ import annotations

import numpy as np
import pytest
from checks import ODD_SHAPES, check_codec, check_magnitudes, relative_error, weights
from hypothesis import given, settings
from hypothesis import strategies as st

from subbit.codecs import OneOfN, Scales, Signed
from subbit.codecs.blocks import Filler, decode_matrix
from subbit.errors import SubbitError
from subbit.kernels import kernel
from subbit.records import Encoded, matrix_shape
from subbit.signs import Hashed


def magnitudes(rows: int, cols: int, seed: int = 0) -> np.ndarray:
    return np.abs(weights((rows, cols), seed))


def decode(part: OneOfN, matrix: np.ndarray, importance: np.ndarray | None = None) -> np.ndarray:
    sections = part.encode(matrix, importance)
    encoded = Encoded(part.kind, {}, matrix.shape, "float32", sections)
    return decode_matrix(encoded, None, Filler(*part.decoder(sections, *matrix.shape)))


def groups(matrix: np.ndarray, n: int) -> list[np.ndarray]:
    return [matrix[:, start : start + n] for start in range(0, matrix.shape[1], n)]


@pytest.mark.parametrize("shape", ODD_SHAPES)
@pytest.mark.parametrize("part", [OneOfN(4), OneOfN(64), OneOfN(8, "seeded", 3)])
def test_contract(shape: tuple[int, ...], part: OneOfN) -> None:
    check_magnitudes(part, magnitudes(*matrix_shape(shape)), max_error=1.0)


@settings(deadline=None, max_examples=40)
@given(
    n=st.sampled_from([2, 4, 8, 16, 32, 64]), mask=st.sampled_from(["stored", "seeded"]),
    seed=st.integers(0, 2**64 - 1), rows=st.integers(1, 12),
    cols=st.integers(1, 150), draw=st.integers(0, 9), weighted=st.booleans(),
)  # fmt: skip
def test_one_weight_of_every_group_is_kept(n, mask, seed, rows, cols, draw, weighted) -> None:
    part, matrix = OneOfN(n, mask, seed), magnitudes(rows, cols, draw) + np.float32(0.001)
    importance = magnitudes(rows, cols, draw + 1) + np.float32(0.001) if weighted else None
    check_codec(Signed(Hashed(seed), part), matrix, importance)
    decoded = decode(part, matrix, importance)
    worth = matrix if importance is None else importance * matrix.astype(np.float64) ** 2
    for values, size in zip(groups(decoded, n), groups(worth, n), strict=True):
        assert np.all((values > 0).sum(axis=1) == 1)
        if mask == "stored":
            assert np.array_equal(values.argmax(axis=1), size.argmax(axis=1))


def test_several_chunks_and_blocks() -> None:
    check_magnitudes(OneOfN(4), magnitudes(700, 401), np.ones((1, 401)), max_error=0.52)


def test_the_kept_weights_are_fitted_by_least_squares() -> None:
    random = np.random.default_rng(0)
    matrix = (random.random((40, 1)) + 0.5) @ (random.random((1, 64)) + 0.5)
    matrix = (matrix * (np.arange(64) % 4 == random.integers(4, size=(40, 16)).repeat(4, axis=1))).astype(np.float32)
    assert relative_error(matrix, decode(OneOfN(4), matrix)) < 1e-4
    places = OneOfN(4, "seeded", 5).seeded_places(0, 40, 64)
    kept = (np.arange(64) % 4 == places.repeat(4, axis=1)) * matrix.max(axis=0)
    assert relative_error(kept, decode(OneOfN(4, "seeded", 5), kept.astype(np.float32))) < 1e-4


@pytest.mark.parametrize(("n", "error"), [(2, 0.362), (4, 0.462), (8, 0.602), (64, 0.894)])
def test_gaussian_magnitudes(n: int, error: float) -> None:
    matrix = np.abs(np.random.default_rng(0).standard_normal((256, 256), np.float32))
    assert abs(relative_error(matrix, decode(OneOfN(n), matrix)) - error) < 0.01


def test_cost() -> None:
    assert OneOfN(4).bits(10, 20) == 8 * 10 * 2 + Scales().bits(10, 20)
    assert OneOfN(8).bits(1024, 1024) - Scales().bits(1024, 1024) == 1024 * 1024 * 0.375
    assert OneOfN(8, "seeded").bits(10, 20) == Scales().bits(10, 20)
    assert OneOfN(8, "seeded").encode(magnitudes(10, 20)).keys() == {"factors"}


def test_seeded_places_are_hash_words() -> None:
    words = kernel("counter_hash").words(7, 3, 0, 6).reshape(2, 3)
    part = OneOfN(4, "seeded", 7)
    assert np.array_equal(part.seeded_places(0, 2, 11), words % np.uint64([4, 4, 3]))
    assert np.array_equal(part.seeded_places(1, 2, 11), part.seeded_places(0, 2, 11)[1:])
    assert not np.array_equal(OneOfN(4, "seeded", 8).seeded_places(0, 50, 64), part.seeded_places(0, 50, 64))


@pytest.mark.parametrize("shape", [(0, 5), (5, 0)])
@pytest.mark.parametrize("mask", ["stored", "seeded"])
def test_empty_matrix(shape: tuple[int, int], mask: str) -> None:
    assert decode(OneOfN(4, mask), np.zeros(shape, np.float32)).shape == shape


def test_zeros_and_ranges() -> None:
    check_magnitudes(OneOfN(4), np.zeros((5, 6), np.float32))
    for scale in (1e30, 1e-30):
        matrix = (magnitudes(20, 30) * scale).astype(np.float32)
        assert relative_error(matrix, decode(OneOfN(4), matrix)) < 0.6


@pytest.mark.parametrize(("n", "cols", "bit"), [(4, 6, 3), (4, 4, 2), (4, 4, 7), (64, 65, 6), (64, 130, 14), (2, 3, 1)])
def test_places_outside_their_group_are_refused(n: int, cols: int, bit: int) -> None:
    part = OneOfN(n)
    sections = part.encode(np.zeros((3, cols), np.float32))
    places = bytearray(sections["places"])
    part.decoder(sections, 3, cols)
    places[len(places) // 3 + bit // 8] |= 1 << bit % 8
    with pytest.raises(SubbitError) as caught:
        part.decoder({**sections, "places": bytes(places)}, 3, cols)
    assert caught.value.kind == "section"


@pytest.mark.parametrize("knobs", [{"n": 1}, {"n": 3}, {"n": 128}, {"n": 4.0}, {"mask": "free"}, {"seed": -1}])
def test_bad_knobs(knobs: dict[str, object]) -> None:
    with pytest.raises(SubbitError) as caught:
        OneOfN(**knobs)
    assert caught.value.kind == "knobs"
