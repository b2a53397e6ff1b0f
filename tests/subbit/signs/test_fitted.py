from __future__ import annotations

import numpy as np
import pytest

from subbit.bits.packing import pack, pack_signs, unpack_signs
from subbit.errors import SubbitError
from subbit.signs import Angle, Fitted, Hashed, LowRank, agreement, signs, word_count

ROWS, COLS = 512, 600
TEMPLATE = signs(Angle(seed=5), b"", ROWS, COLS)


def flipped(words: np.ndarray, rate: float) -> np.ndarray:
    """Flip signs at random, `rate` of them."""
    return words ^ pack_signs(np.random.default_rng(1).random((len(words), COLS)) < rate)


def test_layout_is_that_of_the_specification():
    assert signs(Fitted(8), bytes([0x10, 0x80, 0x6F]), 1, 2).tolist() == [[1]]


@pytest.mark.parametrize(("width", "least"), [(8, 0.997), (10, 0.9995), (12, 0.9999), (16, 0.9999)])
def test_a_true_template_is_found(width, least):
    plane = Fitted(width)
    data = plane.encode(TEMPLATE, ROWS, COLS)
    assert 8 * len(data) <= plane.bits(ROWS, COLS) == 8 * -(-width * (ROWS + COLS) // 8)
    assert agreement(signs(plane, data, ROWS, COLS), TEMPLATE, ROWS, COLS) >= least


def test_a_large_template_is_found_at_the_default_width():
    size, plane = 4096, Fitted()
    template = signs(Angle(seed=9), b"", size, size)
    data = plane.encode(template, size, size)
    assert agreement(signs(plane, data, size, size), template, size, size) >= 0.999
    assert 8 * len(data) <= 0.006 * size * size


@pytest.mark.parametrize(("rate", "least"), [(0.01, 0.999), (0.05, 0.998), (0.2, 0.99), (0.35, 0.95)])
def test_a_template_under_flips_is_found(rate, least):
    words = flipped(TEMPLATE, rate)
    assert Fitted.promising(words, ROWS, COLS)
    found = signs(Fitted(), Fitted().encode(words, ROWS, COLS), ROWS, COLS)
    assert agreement(found, TEMPLATE, ROWS, COLS) >= least
    assert agreement(found, words, ROWS, COLS) >= 1 - rate - 0.003


def test_uneven_angles_and_rank_one_are_found_too():
    rng = np.random.default_rng(2)
    narrow = np.sign(np.sin(rng.normal(0, 0.5, (ROWS, 1)) + rng.normal(0, 0.5, COLS)))
    signed_rows = np.sign(rng.normal(size=(ROWS, 1))) * np.sign(rng.normal(size=COLS))
    for matrix in (narrow, signed_rows, np.ones((ROWS, COLS)), -np.ones((ROWS, COLS))):
        words = pack_signs(matrix)
        found = signs(Fitted(), Fitted().encode(words, ROWS, COLS), ROWS, COLS)
        assert agreement(found, words, ROWS, COLS) > 0.999


def test_random_and_high_rank_signs_are_not_promising():
    assert not Fitted.promising(signs(Hashed(1), b"", ROWS, COLS), ROWS, COLS)
    assert not Fitted.promising(signs(Hashed(1), b"", 3000, 40), 3000, 40)
    assert not Fitted.promising(np.empty((0, 3), np.uint64), 0, 130)
    assert Fitted.promising(signs(LowRank(2, 3), b"", ROWS, COLS), ROWS, COLS)


@pytest.mark.parametrize("shape", [(1, 1), (1, 65), (65, 1), (7, 130), (130, 63), (0, 4), (4, 0)])
def test_odd_shapes_and_both_backends(shape, monkeypatch):
    words = signs(Hashed(3), b"", *shape)
    stored = []
    for backend in ("plain", "compiled"):
        monkeypatch.setenv("SUBBIT_KERNELS", backend)
        stored.append(Fitted(9).encode(words, *shape))
        Fitted.promising(words, *shape)
    assert stored[0] == stored[1]
    assert 8 * len(stored[0]) <= Fitted(9).bits(*shape)
    whole = signs(Fitted(9), stored[0], *shape)
    part = np.empty((shape[0] // 2, word_count(shape[1])), np.uint64)
    Fitted(9).fill(stored[0], *shape, 0, len(part), part)
    assert np.array_equal(part, whole[: len(part)])


def test_backends_fit_the_same_angles(monkeypatch):
    words = flipped(TEMPLATE, 0.1)
    compiled = Fitted(13).encode(words, ROWS, COLS)
    monkeypatch.setenv("SUBBIT_KERNELS", "plain")
    assert Fitted(13).encode(words, ROWS, COLS) == compiled


@pytest.mark.parametrize("backend", ["plain", "compiled"])
def test_best_angles_beats_every_other_angle(backend, monkeypatch):
    monkeypatch.setenv("SUBBIT_KERNELS", backend)
    rng = np.random.default_rng(4)
    others = rng.integers(0, 256, 37)
    matrix = np.where(unpack_signs(signs(Hashed(5), b"", 9, 37), 37), -1, 1)
    angles, agreeing = Fitted(8)._best(pack_signs(matrix), others)
    every = np.where((others + np.arange(256)[:, None]) % 256 >= 128, -1, 1) @ matrix.T
    assert np.array_equal(every[angles, np.arange(9)], every.max(axis=0))
    assert agreeing == (9 * 37 + every.max(axis=0).sum()) // 2


@pytest.mark.parametrize("width", [7, 17, 8.0, None])
def test_wrong_widths_are_refused(width):
    with pytest.raises(SubbitError, match="width"):
        Fitted(width)


@pytest.mark.parametrize("change", [lambda d: d[:-1], lambda d: d + b"\0", lambda d: d[:-1] + b"\xff"])
def test_damage_is_refused(change):
    data = pack(np.arange(3 + 4), 9).tobytes()
    signs(Fitted(9), data, 3, 4)
    with pytest.raises(SubbitError) as caught:
        signs(Fitted(9), change(data), 3, 4)
    assert caught.value.kind == "section"
