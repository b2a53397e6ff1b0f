"""Trellis codes of one rate: values go from their table to the sum."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from subbit.codecs.blocks import parallel
from subbit.codecs.trellis.reading import Reader
from subbit.kernels import kernel
from subbit.packed.base import workers
from subbit.packed.blocks import Blocks, Shaped, check_fits

__all__ = ["Walks"]

_LANES = (1, 4, 8)
_UNIT = 32  # columns that kernels take at once


@dataclass(frozen=True, eq=False)
class Walks(Shaped):
    """`places` and `done` say where a row's bits begin, in the string and in its tile; look-ups are those of `even`.

    A weight's scale is that of its column, in units of a whole number of the table, times that of its row.
    """

    string: np.ndarray
    places: np.ndarray
    done: np.ndarray
    even: tuple[np.ndarray, int]
    column_scales: np.ndarray
    row_scales: np.ndarray
    blocks: Blocks

    @classmethod
    def of(cls, reader: Reader, even: tuple[np.ndarray, int], blocks: Blocks) -> Walks:
        """From the section of a code of one rate."""
        (table, bits), row = even, np.arange(blocks.rows)
        done = row % reader.tile_rows * (blocks.columns * bits // table.shape[1])
        scales = reader.grid.scales.astype(np.float64)
        at = int(scales[0].argmax())
        by_class = scales[:, at] / (scales[0, at] or 1)
        rows, columns = by_class[reader.grid.of].astype(np.float32), (scales[0] / 1024).astype(np.float32)
        return cls(reader.string, reader.starts[row // reader.tile_rows] + done, done, even, columns, rows, blocks)

    @property
    def nbytes(self) -> int:
        """The string of bits, places and scales; the table is one for all tensors."""
        parts = (self.string, self.places, self.done, self.column_scales, self.row_scales)
        return sum(part.nbytes for part in parts)

    def multiply(self, x: np.ndarray) -> np.ndarray:
        """Up to eight rows of x at once."""
        check_fits(x, self.columns)
        y = np.empty((len(x), self.rows), np.float32)
        chunks = workers(self.rows * self.columns * min(len(x), _LANES[-1]))
        lanes = next((count for count in _LANES if count >= len(x)), _LANES[-1])
        scaled = np.zeros((-(-len(x) // lanes) * lanes, -(-self.columns // _UNIT) * _UNIT), np.float32)
        np.multiply(x, self.column_scales, out=scaled[: len(x), : self.columns])

        parts = self.string, self.places, self.done, *self.even

        def task(index: int) -> None:
            first, stop = (self.rows * k // chunks for k in (index, index + 1))
            for start in range(0, len(x), lanes):
                some = slice(start, start + lanes)
                kernel("walks").multiply(*parts, scaled[some], self.row_scales, first, stop, y[some])

        parallel(task, chunks)
        return y
