"""Bytes back to weights: check the model against the shape, then fill blocks of rows."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from subbit.codecs.blocks import rows_per_block
from subbit.codecs.magnitudes.base import Fill
from subbit.codecs.scalar.model import Model
from subbit.codecs.scalar.parts import SECTION
from subbit.codecs.sections import section_bytes
from subbit.coders import runs
from subbit.errors import SubbitError
from subbit.records import Buffer

__all__ = ["decoder"]


def decoder(found: Mapping[str, Buffer], rows: int, cols: int, signed: bool) -> tuple[Fill, int]:
    """Check the section against the shape and return the filler of row blocks and its rows a block."""
    stored = section_bytes(found, SECTION)
    model, end = Model.read(stored, rows, cols, signed)
    steps, size = model.codes.steps(), rows_per_block(cols)
    with np.errstate(over="ignore"):
        row_steps, columns = model.step * steps.rows, steps.columns
        largest = row_steps.max(initial=0) * columns.max(initial=0)
    if not np.isfinite(largest):
        raise SubbitError("a step is not finite", kind="section")
    symbols = model.runs(signed)
    tables, field = runs.Tables.of(symbols, model.values(signed)), model.density.field()
    starts = end + 2 * np.concatenate([np.zeros(1, np.int64), np.cumsum(model.sizes)])
    beyond, certain = model.beyond, symbols.certain
    if certain and int(starts[-1]) > end:
        raise SubbitError("codes where there is nothing to tell", kind="section")

    def fill(start: int, stop: int, block: np.ndarray, stream: bool = False) -> None:
        data = None if certain else stored[starts[start // size] : starts[start // size + 1]]
        runs.decode(data, tables, field.take(slice(start, stop)), row_steps[start:stop], columns, block, stream)
        first, last = np.searchsorted(beyond.positions, [start * cols, stop * cols])
        row, col = np.divmod(beyond.positions[first:last] - start * cols, cols)
        unit = row_steps[start + row] * columns[col]
        with np.errstate(over="ignore"):
            block[row, col] = beyond.values[first:last].astype(np.float32) * unit

    return fill, size
