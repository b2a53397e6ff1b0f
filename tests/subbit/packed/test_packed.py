"""Products with stored weights against products with the decoded ones."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

import subbit
from subbit import (
    Angle,
    DeadZone,
    Dense,
    Factors,
    Fitted,
    Hashed,
    LowBit,
    LowRank,
    Signed,
    Stored,
    SubbitError,
    Trellis,
    TrellisMagnitudes,
    Uniform,
    UsageError,
    Vector,
)  # fmt: skip
from subbit.bits.packing import unpack_signs
from subbit.codecs import Codec
from subbit.packed import pack
from subbit.packed.blocks import Blocks
from subbit.packed.latents import Latents
from subbit.packed.lines import Lines
from subbit.packed.turning import Turning
from subbit.packed.walks import Walks
from subbit.signs import signs

ANGLE, HASHED = Angle(seed=3), Hashed(seed=3)
TURNING = [Signed(ANGLE, Vector(16, 256)), Signed(ANGLE, Vector(17, 200)), Signed(Angle(), Vector(5, 9))]
LINES = [
    Signed(HASHED, Vector(16, 256)), Signed(LowRank(16, seed=2), Vector(16, 100)), Signed(Stored(), Vector(16, 256)),
]  # fmt: skip
OTHERS = [
    Signed(HASHED, Vector(17, 256)), Signed(ANGLE, LowBit(0.5)), Signed(HASHED, TrellisMagnitudes(0.5)),
    Signed(ANGLE, Vector(8, 300)), DeadZone(1.0), Trellis(0.3, variable=False), Trellis(0.7), Uniform(width=4),
    Factors(2.0, residual=0.5),
]  # fmt: skip


WALKS = [
    Trellis(1.0, variable=False), Trellis(0.25, variable=False), Trellis(0.5, variable=False, group=4, state_bits=9),
    Trellis(1.0, variable=False, group=4), Trellis(0.875, variable=False, group=8),
]  # fmt: skip


def weight_for(codec, rows, cols, wrong=0):
    weight = np.random.default_rng(rows).normal(size=(rows, cols)).astype(np.float32)
    if isinstance(codec, Signed) and not isinstance(codec.signs, Stored):
        negative = unpack_signs(signs(codec.signs, b"", rows, cols), cols)
        weight = np.where(negative, -np.abs(weight), np.abs(weight))
        weight.ravel()[:wrong] *= -1
    return weight


def check(codec: Codec, rows: int, cols: int, kind: type, wrong: int = 0) -> None:
    encoded = codec.encode(weight_for(codec, rows, cols, wrong))
    packed, decoded = pack(encoded), subbit.decode(encoded).astype(np.float64)
    assert isinstance(packed, kind)
    random = np.random.default_rng(7)
    for count in (1, 2, 4, 7, 16, 19):
        x = random.normal(size=(count, cols)).astype(np.float32)
        found = packed.multiply(x)
        assert found.dtype == np.float32
        assert np.allclose(found, x @ decoded.T, rtol=1e-4, atol=1e-4 * np.abs(decoded).max() * cols**0.5)


@pytest.mark.parametrize("codec", TURNING, ids=str)
@pytest.mark.parametrize("shape", [(1, 1), (3, 200), (70, 16), (300, 130)])
def test_angle_signs_multiply_by_tables_that_turn(codec, shape):
    check(codec, *shape, Turning)


@pytest.mark.parametrize("codec", WALKS, ids=str)
@pytest.mark.parametrize("shape", [(1, 8), (70, 64), (1030, 136)])
def test_even_walks_go_from_their_table_to_the_sum(codec, shape):
    check(codec, *shape, Walks)


@pytest.mark.parametrize("shape", [(1, 1), (70, 64), (301, 37)])
@pytest.mark.parametrize("rate", [0.3, 1.5])
def test_factors_go_through_their_latents(shape, rate):
    check(Factors(rate), *shape, Latents)


@pytest.mark.parametrize("codec", OTHERS, ids=str)
def test_everything_else_by_blocks_of_rows(codec):
    check(codec, 150, 130, Blocks)


@pytest.mark.parametrize("codec", LINES, ids=str)
@pytest.mark.parametrize("shape", [(70, 16), (513, 40), (1030, 130)])
def test_other_signs_multiply_line_by_line(codec, shape):
    check(codec, *shape, Lines)


@pytest.mark.parametrize("backend", ["plain", "compiled"])
def test_flips_count_too(backend, monkeypatch):
    monkeypatch.setenv("SUBBIT_KERNELS", backend)
    check(TURNING[0], 100, 96, Lines, wrong=500)
    check(LINES[0], 600, 96, Lines, wrong=5000)
    check(TURNING[1], 100, 96, Blocks, wrong=500)


@pytest.mark.parametrize("threads", ["1", "3"])
def test_several_threads(threads, monkeypatch):
    monkeypatch.setenv("SUBBIT_THREADS", threads)
    check(TURNING[0], 3100, 40, Turning)
    check(WALKS[0], 3100, 40, Walks)


def test_fitted_angles_turn_as_well():
    rows, cols = 128, 160
    weight = weight_for(TURNING[0], rows, cols)
    encoded = Signed(Fitted(), Vector(16, 256)).encode(weight)
    if "flips" in encoded.sections:
        encoded = Signed(Fitted(), Vector(16, 256), drop=1e9).encode(weight)
    packed = pack(encoded)
    assert isinstance(packed, Turning)
    x = np.eye(cols, dtype=np.float32)
    assert np.allclose(packed.multiply(x).T, subbit.decode(encoded), atol=1e-5)


@pytest.mark.parametrize("backend", ["plain", "compiled"])
def test_both_kernels(backend, monkeypatch):
    monkeypatch.setenv("SUBBIT_KERNELS", backend)
    check(TURNING[1], 60, 100, Turning)
    check(WALKS[2], 60, 96, Walks)
    check(Factors(0.7), 60, 100, Latents)


def test_blocks_are_small_where_the_codec_lets_them(monkeypatch):
    monkeypatch.setattr("subbit.packed.blocks._TOGETHER", 4096)
    check(Signed(HASHED, Vector(17, 256)), 150, 130, Blocks)
    check(Trellis(0.3, variable=False), 700, 64, Blocks)
    assert pack(OTHERS[0].encode(weight_for(OTHERS[0], 150, 130))).step == 31


def test_memory_is_about_that_of_the_sections():
    encoded = TURNING[0].encode(weight_for(TURNING[0], 1024, 2048))
    assert pack(encoded).nbytes < 1.5 * encoded.bits / 8


def test_a_damaged_section_is_named():
    encoded = TURNING[0].encode(weight_for(TURNING[0], 64, 64))
    encoded.sections["codes"] = bytes(encoded.sections["codes"])[:-1]
    with pytest.raises(SubbitError) as caught:
        pack(encoded)
    assert caught.value.kind == "section"


@pytest.mark.parametrize("codec", [Dense(), Trellis(1.0, rotation=5)], ids=str)
def test_what_does_not_decode_by_rows_is_refused(codec):
    with pytest.raises(UsageError) as caught:
        pack(codec.encode(weight_for(codec, 64, 64)))
    assert caught.value.kind == "packed"


@pytest.mark.parametrize("shape", [(0, 64), (64, 0)])
def test_no_weights_are_refused_before_their_sections_are_read(shape):
    encoded = replace(DeadZone().encode(weight_for(DeadZone(), 64, 64)), shape=shape)
    with pytest.raises(UsageError) as caught:
        pack(encoded)
    assert caught.value.kind == "packed"


@pytest.mark.parametrize(
    ("codec", "kind"),
    [(TURNING[0], Turning), (LINES[0], Lines), (WALKS[0], Walks), (Factors(2.0), Latents), (DeadZone(), Blocks)],
)
@pytest.mark.parametrize("shape", [(3, 63), (3, 65), (3, 100_000), (64,), (1, 3, 64)], ids=str)
def test_x_that_does_not_fit_is_refused(codec, kind, shape):
    packed = pack(codec.encode(weight_for(codec, 64, 64)))
    assert isinstance(packed, kind)
    with pytest.raises(UsageError) as caught:
        packed.multiply(np.ones(shape, np.float32))
    assert caught.value.kind == "shape"


def test_a_tensor_of_a_file(tmp_path):
    path = tmp_path / "model.sbit"
    weight = weight_for(DeadZone(1.0), 96, 64)
    subbit.compress({"a": weight}, path, bits=1.0)
    with subbit.open(path) as file:
        x = np.ones((2, 64), np.float32)
        assert np.allclose(file["a"].packed().multiply(x), x @ file["a"].decode(dtype="float32").T, atol=1e-4)
