"""Any codec that decodes rows by themselves: a block of rows is decoded, multiplied by and forgotten."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from subbit.codecs.blocks import Filler

__all__ = ["Blocks"]


@dataclass(frozen=True, eq=False)
class Blocks:
    """Memory: the stored sections, and while multiplying one block of float32, at most two million weights or a row."""

    rows: int
    columns: int
    filler: Filler
    nbytes: int

    def multiply(self, x: np.ndarray) -> np.ndarray:
        """Each block of rows gives its own columns of the result."""
        y = np.empty((len(x), self.rows), np.float32)
        for part, block in self._blocks():
            np.matmul(x, block.T, out=y[:, part])
        return y

    def multiply_back(self, y: np.ndarray) -> np.ndarray:
        """Each block of rows adds its share."""
        x = np.zeros((len(y), self.columns), np.float32)
        for part, block in self._blocks():
            x += y[:, part] @ block
        return x

    def _blocks(self) -> Iterator[tuple[slice, np.ndarray]]:
        """Slices of rows, and these rows."""
        step = self.filler.rows
        memory = np.empty((min(step, self.rows), self.columns), np.float32)
        for start in range(0, self.rows, step):
            stop = min(start + step, self.rows)
            block = memory[: stop - start]
            self.filler.fill(start, stop, block)
            yield slice(start, stop), block
