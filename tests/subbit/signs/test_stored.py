from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from subbit.errors import SubbitError
from subbit.signs import Hashed, Stored, signs, word_count


@settings(deadline=None, max_examples=60)
@given(st.integers(1, 40), st.integers(1, 200), st.data())
def test_every_sign_comes_back_in_any_row_range(rows, cols, data):
    words = signs(Hashed(rows), b"", rows, cols)
    stored = Stored().encode(words, rows, cols)
    assert 8 * len(stored) == Stored().bits(rows, cols) < rows * cols + 8
    start = data.draw(st.integers(0, rows))
    stop = data.draw(st.integers(start, rows))
    out = np.empty((stop - start, word_count(cols)), np.uint64)
    Stored().fill(stored, rows, cols, start, stop, out)
    assert np.array_equal(out, words[start:stop])


def test_bits_run_on_from_row_to_row():
    words = np.array([[0b101], [0b011]], np.uint64)
    assert Stored().encode(words, 2, 3) == bytes([0b011101])


@pytest.mark.parametrize("data", [b"", b"\0", b"\0\0\0", b"\0\x80"])
def test_damage_is_refused(data):
    with pytest.raises(SubbitError) as caught:
        signs(Stored(), data, 3, 5)
    assert caught.value.kind == "section"
