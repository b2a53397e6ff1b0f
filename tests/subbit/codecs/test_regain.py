from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from subbit.codecs import DeadZone, Dense, LowBit, Scales, Signed, Uniform, Vector
from subbit.codecs.base import takes_gains
from subbit.errors import SubbitError
from subbit.signs import Hashed, Stored
from subbit.tensors import decode, encode

RANDOM = np.random.default_rng(0)
WEIGHT = (RANDOM.standard_normal((60, 7, 9)) * np.exp(RANDOM.standard_normal((60, 1, 1)))).astype(np.float32)
ROWS, COLS = 60, 63
STEEP = np.outer(np.exp(RANDOM.standard_normal(ROWS)), np.exp(RANDOM.standard_normal(COLS)))
GRID = 2 ** (1 / 64)  # half a step of 1/32 octave

CASES = [
    (DeadZone(1.0), None, GRID**2), (DeadZone(1.0), STEEP, GRID**2), (DeadZone(9.0), None, GRID**2),
    (Signed(Hashed(seed=1), LowBit(0.7)), None, GRID**2), (Signed(Stored(), Scales()), None, 1.002),
    (Signed(Stored(), Vector(4, 16)), None, 1.001), (Uniform(4), None, 1.001),
]  # fmt: skip


@pytest.mark.parametrize(("codec", "importance", "error"), CASES)
def test_decoded_weights_are_multiplied(codec: Any, importance: np.ndarray | None, error: float) -> None:
    rows, columns = np.exp(RANDOM.standard_normal(ROWS) * 0.3), np.exp(RANDOM.standard_normal(COLS) * 0.3)
    of_rows, of_columns = takes_gains(codec)
    assert of_rows
    columns = columns if of_columns else np.ones(COLS)
    coded = encode(WEIGHT, codec, importance)
    regained = codec.regain(coded, rows, columns)
    before, after = (decode(item).reshape(ROWS, COLS) for item in (coded, regained))
    wanted = before * rows[:, None] * columns
    assert np.array_equal(wanted == 0, after == 0)
    used = wanted != 0
    assert np.abs(np.log(after[used] / wanted[used])).max() <= np.log(error) + 1e-5
    assert (regained.codec, regained.knobs, regained.shape) == (coded.codec, coded.knobs, coded.shape)


def test_gains_on_gains_and_gains_that_span_too_much() -> None:
    codec, ones = DeadZone(1.0), np.ones(COLS)
    coded = encode(WEIGHT, codec)
    twice = codec.regain(codec.regain(coded, np.full(ROWS, 2.0), ones), np.full(ROWS, 0.5), ones)
    assert np.array_equal(decode(twice), decode(coded))
    wide = np.ones(ROWS)
    wide[0] = 2.0**40
    found = decode(codec.regain(coded, wide, ones)).reshape(ROWS, COLS)
    assert np.isfinite(found).all()
    assert np.allclose(found[0], decode(coded).reshape(ROWS, COLS)[0] * 2.0**40, rtol=0.03)


def test_damage_and_codecs_without_gains() -> None:
    coded = encode(WEIGHT, DeadZone(1.0))
    broken = type(coded)(coded.codec, coded.knobs, coded.shape, coded.dtype, {"codes": b"123"})
    with pytest.raises(SubbitError) as refused:
        DeadZone(1.0).regain(broken, np.ones(ROWS), np.ones(COLS))
    assert refused.value.kind == "section"
    assert takes_gains(Dense()) == (False, False)
