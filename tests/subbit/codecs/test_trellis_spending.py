"""The offset that a budget buys is the largest one, by the plain way to count."""

from __future__ import annotations

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from subbit.codecs.trellis.classes import HIGHEST, UNIT, rates_of
from subbit.codecs.trellis.model import tile_rows
from subbit.codecs.trellis.spending import Allotment, Codes, Option

codes = st.lists(st.integers(0, 30), min_size=1, max_size=200).map(lambda values: np.array(values, np.int64))


def walks(side: Codes, one: bool, offset: int) -> int:
    """Bytes of whole bits in every tile."""
    sums = np.zeros((side[0].size, side[1].size), np.int64) if one else side[0][:, None] + side[1]
    rates, height = rates_of(sums, offset).astype(int), tile_rows(side[1].size)
    bits = [-(-int(rates[start : start + height].sum()) // UNIT) for start in range(0, len(rates), height)]
    return (sum(bits) + 7) // 8


@settings(deadline=None)
@given(codes, codes, st.floats(0, 10), st.booleans())
def test_no_larger_offset_fits(rows: np.ndarray, columns: np.ndarray, rate: float, one: bool) -> None:
    side = rows, columns
    option, budget = Option(side, None if one else side), int(rate * rows.size * columns.size / 8)
    least, found = option.within(0), option.within(budget)
    codes_alone = least.size - walks(side, one, least.classes.offset)

    def size(allotment: Allotment, more: int = 0) -> int:
        return codes_alone + walks(side, one, allotment.classes.offset + more)

    assert found.size == size(found)
    assert found.size <= budget or found.classes.offset == least.classes.offset
    assert found.classes.offset == HIGHEST or size(found, 1) > budget
