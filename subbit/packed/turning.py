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
from subbit.kernels.outputs import LANES
from subbit.packed.base import workers
from subbit.packed.blocks import Blocks
from subbit.records import Buffer

__all__ = ["Turning"]

_HALF_TURN = 1 << 15
_LANES = (1, 4, 8, 16)


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
        order = np.argsort(row_angles & (_HALF_TURN - 1), kind="stable").astype(np.int32)
        angles = (row_angles & (_HALF_TURN - 1))[order]
        padded = np.zeros(count * dim, np.uint16)
        padded[:cols] = column_angles
        turns = np.searchsorted(angles, -padded.astype(np.int64) & (_HALF_TURN - 1)).reshape(count, dim)
        turns[turns == 0] = rows  # the first row has turned already
        turned = np.argsort(turns, axis=1, kind="stable")
        entries = np.zeros((dim, -(-codebook.shape[1] // LANES) * LANES), np.float32)
        entries[:, : codebook.shape[1]] = codebook
        return cls(
            rows,
            cols,
            np.ascontiguousarray(kernel("rows").unpack_rows(packed, count, width).astype(np.uint8)[order].T),
            entries,
            ((padded + angles[:1]) >= _HALF_TURN).reshape(count, dim),
            np.take_along_axis(turns, turned, axis=1).astype(np.int32),
            turned.astype(np.uint8),
            order,
            np.where(row_angles >= _HALF_TURN, -scales, scales)[order],
            blocks,
        )

    @property
    def nbytes(self) -> int:
        """All of the above; blocks read the sections."""
        parts = (self.codes, self.entries, self.negative, self.at, self.turned, self.order, self.scales)
        return sum(part.nbytes for part in parts)

    def multiply(self, x: np.ndarray) -> np.ndarray:
        """Up to sixteen rows of x at once."""
        y = np.empty((len(x), self.rows), np.float32)
        for start in range(0, len(x), _LANES[-1]):
            part = x[start : start + _LANES[-1]]
            y[start : start + len(part), self.order] = self._some(part).T[: len(part)]
        return y

    def _some(self, x: np.ndarray) -> np.ndarray:
        """Results of sorted rows, (rows, lanes); lanes past those of x are nothing."""
        lanes = next(count for count in _LANES if count >= len(x))
        numbers = np.zeros((self.negative.size, lanes), np.float32)
        numbers[: self.columns, : len(x)] = x.T
        sums = np.zeros((self.rows, lanes), np.float32)
        chunks = workers(self.rows * self.columns * lanes)

        def task(index: int) -> None:
            first, stop = (self.rows * k // chunks for k in (index, index + 1))
            kernel("turning").multiply(
                self.codes, self.entries, self.negative, self.at, self.turned, numbers, first, stop, sums
            )

        parallel(task, chunks)
        sums *= self.scales[:, None]
        return sums
