from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from subbit.coders import varints
from subbit.errors import SubbitError


@settings(deadline=None, max_examples=100)
@given(st.lists(st.integers(0, 2**32 - 1), max_size=8))
def test_values_come_back(values: list[int]) -> None:
    data, offset = varints.write(values), 0
    for value in values:
        got, offset = varints.read(data, offset)
        assert got == value
    assert offset == len(data)


@pytest.mark.parametrize(
    ("value", "stored"), [(0, "00"), (127, "7f"), (128, "8001"), (300, "ac02"), (2**32 - 1, "ffffffff0f")]
)
def test_bytes_are_fixed(value: int, stored: str) -> None:
    assert varints.write([value]).hex() == stored


@pytest.mark.parametrize("stored", ["", "80", "8000", "ff00", "ffffffff1f", "8080808010", "ffffffffff", "808080808001"])
def test_cut_long_and_large_forms_are_refused(stored: str) -> None:
    with pytest.raises(SubbitError) as caught:
        varints.read(bytes.fromhex(stored), 0)
    assert caught.value.kind == "section"
