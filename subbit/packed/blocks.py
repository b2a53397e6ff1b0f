"""Any codec that decodes rows by themselves: a block of rows is decoded, multiplied by and forgotten."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from subbit.codecs.blocks import Filler
from subbit.errors import UsageError
from subbit.kernels.outputs import NO_SIGNS, finish, writes

__all__ = ["Blocks", "Shaped", "check_fits"]

_TOGETHER = 1 << 20  # weights


@dataclass(frozen=True, eq=False)
class Blocks:
    """Memory: the stored sections, and while multiplying one block, at most two million weights or a tile."""

    rows: int
    columns: int
    make: Callable[[], Filler]
    nbytes: int

    @cached_property
    def filler(self) -> Filler:
        """Made when it is first needed: a matrix with a way of its own may never be decoded."""
        return self.make()

    @property
    def blocks(self) -> Blocks:
        """Itself."""
        return self

    @property
    def step(self) -> int:
        """Rows that are decoded together: few enough for the last cache, enough for a product to be worth its start."""
        rows, grain = self.filler.rows, self.filler.grain
        return rows if grain is None else max(1, _TOGETHER // max(self.columns, 1) // grain) * grain

    def multiply(self, x: np.ndarray) -> np.ndarray:
        """Each block of rows gives its own columns of the result."""
        check_fits(x, self.columns)
        y = np.empty((len(x), self.rows), np.float32)
        memory = self._memory()
        for part in self.parts():
            block = memory[: part.stop - part.start]
            self.fill(part, block)
            np.matmul(x, block.T, out=y[:, part])
        return y

    def parts(self) -> Iterator[slice]:
        """Slices of rows that are decoded together."""
        for start in range(0, self.rows, self.step):
            yield slice(start, min(start + self.step, self.rows))

    def fill(self, part: slice, block: np.ndarray) -> None:
        """Decode rows as any float."""
        if block.dtype == np.float32:
            self.filler.fill(part.start, part.stop, block)
        elif self.filler.direct and writes(block.dtype):
            self.filler.fill(part.start, part.stop, block, False)
        else:
            scratch = np.empty(block.shape, np.float32)
            self.filler.fill(part.start, part.stop, scratch)
            if writes(block.dtype):
                finish(scratch, NO_SIGNS, block, False)
            else:
                block[:] = scratch

    def _memory(self) -> np.ndarray:
        return np.empty((min(self.step, self.rows), self.columns), np.float32)


def check_fits(x: np.ndarray, columns: int) -> None:
    """Raise :class:`UsageError` (kind "shape") unless x has rows of so many numbers: kernels trust its shape."""
    if x.ndim != 2 or x.shape[1] != columns:
        text = f"x has shape {x.shape}, weights of {columns} columns multiply (n, {columns})"
        raise UsageError(text, kind="shape", hint="reshape x, or multiply by another tensor")


class Shaped:
    """What has the shape of its blocks."""

    blocks: Blocks

    @property
    def rows(self) -> int:
        """Numbers that come out."""
        return self.blocks.rows

    @property
    def columns(self) -> int:
        """Numbers that go in."""
        return self.blocks.columns
