"""Any signs × vector codes of sixteen weights: an entry is a line of the cache, which goes from there to the sum."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from subbit.codecs import Vector
from subbit.codecs.blocks import parallel
from subbit.kernels import kernel
from subbit.kernels.outputs import aligned
from subbit.packed.base import workers
from subbit.packed.blocks import Blocks, check_fits
from subbit.records import Buffer
from subbit.signs import flips, word_count

__all__ = ["DIM", "Lines"]

DIM = 16
"""Weights of a code."""
_LANES = (1, 4, 8)
_ROWS = 512  # whose signs are rendered together


@dataclass(frozen=True, eq=False)
class Lines:
    """`wrong` are the columns of all flips, row by row, and `starts` where each row's begin."""

    rows: int
    columns: int
    plane: Any
    data: Buffer
    codes: np.ndarray  # uint8 (rows, blocks)
    table: np.ndarray  # float32 (256, 16), from the start of a line
    scales: np.ndarray
    wrong: np.ndarray
    starts: np.ndarray
    blocks: Blocks

    @classmethod
    def of(
        cls, plane: Any, data: Buffer, flipped: memoryview, magnitudes: Vector, sections: Mapping[str, Buffer],
        blocks: Blocks,
    ) -> Lines:  # fmt: skip
        """From the parts of a `signed` tensor of at most 256 entries."""
        rows, cols = blocks.rows, blocks.columns
        packed, width, codebook, scales = magnitudes.parts(sections, rows, cols)
        codes = packed if width == 8 else kernel("rows").unpack_rows(packed, -(-cols // DIM), width).astype(np.uint8)
        table = aligned(256, DIM)
        table[: codebook.shape[1]] = codebook.T
        wrong, starts = np.empty(0, np.int32), np.zeros(rows + 1, np.int64)
        if flipped:
            mask = flips.decode(flipped, rows, cols)
            wrong, counts = kernel("sign_planes").places(mask, cols)
            np.cumsum(counts, out=starts[1:])
        return cls(rows, cols, plane, data, codes, table, scales, wrong, starts, blocks)

    @property
    def nbytes(self) -> int:
        """Codes, table, scales, flips and the plane's own bytes."""
        parts = (self.codes, self.table, self.scales, self.wrong, self.starts)
        return sum(part.nbytes for part in parts) + memoryview(self.data).nbytes

    def multiply(self, x: np.ndarray) -> np.ndarray:
        """Up to eight rows of x at once."""
        check_fits(x, self.columns)
        y = np.empty((len(x), self.rows), np.float32)
        padded = np.zeros((len(x), self.codes.shape[1] * DIM), np.float32)
        padded[:, : self.columns] = x

        def some(start: int, stop: int) -> None:
            words = self._signs(start, stop)
            for first in range(0, len(x), _LANES[-1]):
                part = padded[first : first + _LANES[-1]]
                sums = self._some(part, words, start, stop)
                np.multiply(sums.T[: len(part)], self.scales[start:stop], out=y[first : first + len(part), start:stop])

        def task(index: int) -> None:
            for start in range(index * _ROWS, self.rows, count * _ROWS):
                some(start, min(start + _ROWS, self.rows))

        count = workers(self.rows * self.columns * len(x))
        parallel(task, count)
        return y

    def _signs(self, start: int, stop: int) -> np.ndarray:
        words = np.empty((stop - start, word_count(self.columns)), np.uint64)
        self.plane.fill(self.data, self.rows, self.columns, start, stop, words)
        if self.wrong.size:
            kernel("sign_planes").turn(words, self.wrong, self.starts[start : stop + 1])
        return words

    def _some(self, x: np.ndarray, words: np.ndarray, start: int, stop: int) -> np.ndarray:
        """Sums of rows start … stop, (rows, lanes); lanes past those of x are nothing."""
        lanes = next(count for count in _LANES if count >= len(x))
        if lanes > len(x):
            x = np.concatenate([x, np.zeros((lanes - len(x), x.shape[1]), np.float32)])
        sums = np.empty((stop - start, lanes), np.float32)
        kernel("lines").multiply(self.codes[start:stop], self.table, words, x, sums)
        return sums
