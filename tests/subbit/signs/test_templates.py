"""Seeded planes: the same bits from NumPy, Numba and torch, and the statistics they are made for."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from subbit.bits.packing import unpack_signs
from subbit.errors import SubbitError
from subbit.kernels import kernel
from subbit.records import matrix_shape
from subbit.signs import Angle, Hadamard, Hashed, LowRank, SignPlane, Stored, agreement, signs, word_count
from subbit.signs.hadamard import scatter, walsh_order
from subbit.torch.templates import template_signs

SEEDED = [Angle(seed=7), LowRank(rank=1, seed=7), LowRank(rank=3, seed=7), Hadamard(seed=7), Hashed(seed=7)]
SHAPES = [(1, 1), (1, 65), (63, 64), (130, 257), (2, 700), (700, 2), (128, 64), (5, 0), (0, 5)]
VECTORS = {  # formats/TEMPLATES.md
    Angle(seed=7): [[0x8D3DC5C059B7CF37, 0x26], [0x8D3D45C059BFCF37, 0x26], [0x13CF9BCE7142A149, 0x21]],
    LowRank(2, 7): [[0x11CC62FBA2806BB7, 0x3E], [0x10CC62F32329CB3F, 0x3E], [0xB6B15A14572DD40A, 0x11]],
    LowRank(3, 7): [[0x5B7451B4C7E8A8CB, 0x24], [0xA56FA44918160110, 0x13], [0x51777034C66A28DF, 0x18]],
    Hadamard(7): [[0x7DAB02A4DEEE231B, 0x20], [0x05CC00D55976DE95, 0x11], [0x0BE6B825A8A3999A, 0x1E]],
    Hashed(7): [[0x9C84DC3AAE97B406, 0x00], [0x47382767A13111D5, 0x16], [0x8C764EAC15446ACB, 0x1C]],
}


def matrix(plane: SignPlane, rows: int, cols: int) -> np.ndarray:
    return np.where(unpack_signs(signs(plane, b"", rows, cols), cols), -1.0, 1.0)


@pytest.mark.parametrize("backend", ["plain", "compiled"])
@pytest.mark.parametrize("plane", VECTORS, ids=repr)
def test_words_are_those_of_the_specification(plane, backend, monkeypatch):
    monkeypatch.setenv("SUBBIT_KERNELS", backend)
    assert signs(plane, b"", 3, 70).tolist() == VECTORS[plane]


def test_tall_matrix_of_the_specification():
    planes = (Angle(7), LowRank(2, 7), LowRank(3, 7), Hadamard(7), Hashed(7))
    assert [int(signs(plane, b"", 70, 3)[69, 0]) for plane in planes] == [7, 7, 3, 3, 4]


@pytest.mark.parametrize("shape", SHAPES, ids=str)
@pytest.mark.parametrize("plane", [*SEEDED, Angle(2**64 - 1), Hashed(2**63)], ids=repr)
def test_numpy_numba_and_torch_agree(plane, shape, monkeypatch):
    monkeypatch.setenv("SUBBIT_KERNELS", "plain")
    plain = signs(plane, b"", *shape)
    monkeypatch.setenv("SUBBIT_KERNELS", "compiled")
    assert np.array_equal(plain, signs(plane, b"", *shape))
    assert np.array_equal(template_signs(plane, shape).numpy() < 0, unpack_signs(plain, shape[1]))
    assert not shape[1] % 64 or not (plain[:, -1:] >> np.uint64(shape[1] % 64)).any()


@settings(deadline=None, max_examples=60)
@given(st.sampled_from(SEEDED), st.integers(1, 200), st.integers(1, 200), st.data())
def test_any_row_range_is_a_slice_of_the_whole(plane, rows, cols, data):
    start = data.draw(st.integers(0, rows))
    stop = data.draw(st.integers(start, rows))
    part = np.empty((stop - start, word_count(cols)), np.uint64)
    plane.fill(b"", rows, cols, start, stop, part)
    assert np.array_equal(part, signs(plane, b"", rows, cols)[start:stop])


def test_torch_sees_other_shapes_as_their_matrix_and_gives_the_dtype_asked_for():
    convolution = template_signs(Angle(3), (8, 4, 3, 3), dtype=torch.float32)
    assert convolution.dtype == torch.float32
    rows, cols = matrix_shape((8, 4, 3, 3))
    assert np.array_equal(convolution.reshape(rows, cols).numpy(), matrix(Angle(3), rows, cols))
    assert template_signs(Hashed(3), (70,)).shape == (70,)
    assert template_signs(Hashed(3), ()).shape == ()
    with pytest.raises(SubbitError, match="seed"):
        template_signs(Stored(), (2, 2))


def test_angle_template_keeps_its_energy_in_few_directions():
    squares = np.linalg.svd(matrix(Angle(11), 700, 900), compute_uv=False) ** 2
    shares = np.cumsum(squares) / squares.sum()
    assert shares[[1, 3, 5]] == pytest.approx([0.8106, 0.9006, 0.9331], abs=0.005)


def test_low_rank_template_has_the_sign_of_its_product():
    u = kernel("sign_planes").factors(kernel("counter_hash").words(5, 0, 0, 40 * 4)).reshape(40, 4)
    v = kernel("sign_planes").factors(kernel("counter_hash").words(5, 1, 0, 90 * 4)).reshape(90, 4)
    assert np.array_equal(matrix(LowRank(4, 5), 40, 90), np.where(u @ v.T < 0, -1.0, 1.0))
    assert ((u @ v.T) == 0).any()


@pytest.mark.parametrize("shape", [(256, 256), (128, 1024), (64, 192)])
def test_hadamard_rows_are_orthogonal(shape):
    rows = matrix(Hadamard(1), *shape)
    assert np.array_equal(rows @ rows.T, shape[1] * np.eye(shape[0]))
    columns = matrix(Hadamard(1), *shape[::-1])
    assert np.array_equal(columns.T @ columns, shape[1] * np.eye(shape[0]))


@pytest.mark.parametrize("shape", [(576, 576), (576, 1536), (520, 520), (129, 129), (64, 512), (512, 64)])
def test_no_two_hadamard_rows_or_columns_are_alike(shape):
    for signs_ in (matrix(Hadamard(2), *shape), matrix(Hadamard(2), *shape).T):
        alike = np.abs(signs_ @ signs_.T) / signs_.shape[1] - np.eye(len(signs_))
        assert alike.max() < 5 / np.sqrt(signs_.shape[1])


@pytest.mark.parametrize("order", range(6, 15))
def test_scatter_is_a_permutation(order):
    assert np.array_equal(np.sort(scatter(np.arange(1 << order), order)), np.arange(1 << order))


@pytest.mark.parametrize(("rows", "cols", "order"), [(1, 1, 6), (64, 64, 6), (65, 9999, 7), (4096, 4097, 12)])
def test_walsh_matrix_covers_the_shorter_side(rows, cols, order):
    assert walsh_order(rows, cols) == walsh_order(cols, rows) == order


def test_hashed_signs_look_random():
    values = matrix(Hashed(9), 512, 500)
    assert abs(values.mean()) < 4 / np.sqrt(values.size)
    assert np.linalg.norm(values, 2) < 1.03 * (np.sqrt(512) + np.sqrt(500))


@pytest.mark.parametrize("plane", SEEDED, ids=repr)
def test_seeded_planes_store_nothing_and_differ_by_seed(plane):
    words = signs(plane, b"", 64, 200)
    assert plane.encode(words, 64, 200) == b""
    assert plane.bits(64, 200) == 0
    other = type(plane)(**{**plane.__dict__, "seed": 8})
    assert 0.3 < agreement(words, signs(other, b"", 64, 200), 64, 200) < 0.7
    with pytest.raises(SubbitError) as caught:
        signs(plane, b"\0", 64, 200)
    assert caught.value.kind == "section"


@pytest.mark.parametrize("seed", [-1, 2**64, 1.5, "7", True, None])
def test_wrong_seeds_are_refused(seed):
    for make in (Angle, Hadamard, Hashed, lambda seed: LowRank(2, seed)):
        with pytest.raises(SubbitError) as caught:
            make(seed)
        assert caught.value.kind == "template"


@pytest.mark.parametrize("rank", [0, 4097, 2.0])
def test_wrong_ranks_are_refused(rank):
    with pytest.raises(SubbitError, match="rank"):
        LowRank(rank)
