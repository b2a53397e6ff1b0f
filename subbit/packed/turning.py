"""Angle signs × vector codes: tables of sums that turn with the rows' angles.

A block of `dim` columns and a code give a number that every row with these signs shares: a table look-up does the work
of `dim` products. Half a turn further on, all signs are the opposite: such rows are turned back, and their scales take
the sign. So a block's signs change once for each of its columns, over all rows.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from subbit.codecs.blocks import parallel
from subbit.codecs.magnitudes.vector import Vector
from subbit.kernels import kernel
from subbit.packed.base import workers
from subbit.packed.blocks import Blocks, check_fits
from subbit.records import Buffer

__all__ = ["Turning"]

_HALF_TURN = 1 << 15
_LANES = 16  # rows of x at once
_GRAIN = 64  # entries that a table is built of at once


@dataclass(frozen=True, eq=False)
class Turning:
    """Rows sorted by their angle within half a turn: `order` says which they are; see `kernels.plain.turning`."""

    rows: int
    columns: int
    codes: np.ndarray  # uint8 (blocks, rows)
    entries: np.ndarray  # float32 (dim, entries)
    negative: np.ndarray  # bool (blocks, dim)
    at: np.ndarray  # int32 (blocks, dim)
    turned: np.ndarray  # uint8 (blocks, dim)
    order: np.ndarray
    scales: np.ndarray  # float32 (rows,), with the signs of those that were turned back
    blocks: Blocks

    @classmethod
    def of(
        cls, plane: Any, data: Buffer, magnitudes: Vector, sections: Mapping[str, Buffer], blocks: Blocks
    ) -> Turning:
        """From the parts of a `signed` tensor without flips, of at most 256 entries; `plane` has `angles`."""
        rows, cols = blocks.rows, blocks.columns
        packed, width, codebook, scales = magnitudes.parts(sections, rows, cols)
        dim = len(codebook)
        count = -(-cols // dim)
        row_angles, column_angles = plane.angles(data, rows, cols)
        folded = row_angles & (_HALF_TURN - 1)
        order = np.argsort(folded, kind="stable").astype(np.int32)
        padded = np.zeros(count * dim, np.uint16)
        padded[:cols] = column_angles
        codes = np.empty((count, rows), np.uint8)
        kernel("arranging").columns(packed, width, order, codes)
        at, turned, negative = (np.empty((count, dim), dtype) for dtype in (np.int32, np.uint8, np.bool_))
        kernel("arranging").events(folded[order], padded, at, turned, negative)
        entries = np.zeros((dim, -(-codebook.shape[1] // _GRAIN) * _GRAIN), np.float32)
        entries[:, : codebook.shape[1]] = codebook
        scales = np.where(row_angles >= _HALF_TURN, -scales, scales)[order]
        return cls(rows, cols, codes, entries, negative, at, turned, order, scales, blocks)

    @property
    def nbytes(self) -> int:
        """All of the above; blocks read the sections."""
        parts = (self.codes, self.entries, self.negative, self.at, self.turned, self.order, self.scales)
        return sum(part.nbytes for part in parts)

    def multiply(self, x: np.ndarray) -> np.ndarray:
        """Up to sixteen rows of x at once."""
        check_fits(x, self.columns)
        y = np.empty((len(x), self.rows), np.float32)
        parts = self.codes, self.entries, self.negative, self.at, self.turned, self.order, self.scales
        chunks = workers(self.rows * self.columns * min(len(x), _LANES))

        def task(index: int) -> None:
            first, stop = (self.rows * k // chunks for k in (index, index + 1))
            for start in range(0, len(x), _LANES):
                some = slice(start, start + _LANES)
                kernel("turning").multiply(*parts, x[some], first, stop, y[some])

        parallel(task, chunks)
        return y
