"""From a section to the rows of a matrix."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np

from subbit.codecs.blocks import Filler, rows_per_block
from subbit.codecs.trellis.classes import LOWEST, UNIT, Grid
from subbit.codecs.trellis.model import Model, tile_rows
from subbit.codecs.trellis.values import values, windows
from subbit.errors import SubbitError
from subbit.kernels import kernel
from subbit.kernels.outputs import NO_SIGNS, finish, raw

__all__ = ["Reader"]

_BLOCKS = 8  # usual blocks at once, where the kernel has tiles of its own
_SLACK = 8  # bytes before the first tile and behind the last that kernels may read


@dataclass(frozen=True, eq=False)
class Reader:
    """A checked section: its model, scales and rates, the string of bits, and where in it each tile starts."""

    model: Model
    grid: Grid
    string: np.ndarray
    starts: np.ndarray
    state_bits: int

    @classmethod
    def of(cls, stored: np.ndarray, rows: int, cols: int, state_bits: int, signed: bool) -> Reader:
        """Raises :class:`SubbitError` (kind "section") for what is no trellis code of this shape."""
        model, start = Model.read(stored, rows, cols, signed)
        return cls.with_model(model, stored[start:], state_bits)

    @classmethod
    def with_model(cls, model: Model, tiles: np.ndarray, state_bits: int) -> Reader:
        """The same for a model and the bytes of its tiles."""
        grid = model.grid()
        starts = model.starts(grid)
        if tiles.size != (starts[-1] + 7) // 8:
            raise SubbitError(f"{tiles.size} bytes where {starts[-1]} bits are due", kind="section")
        slack = np.zeros(_SLACK, np.uint8)
        return cls(model, grid, np.concatenate([slack, tiles, slack]), starts + 8 * _SLACK, state_bits)

    @property
    def tile_rows(self) -> int:
        """Rows of a tile."""
        return tile_rows(self.grid.rates.shape[1])

    @property
    def block_rows(self) -> int:
        """Rows that are filled together."""
        blocks = _BLOCKS if self.even and self.model.shape.signed else 1
        return max(1, blocks * rows_per_block(self.grid.rates.shape[1]) // self.tile_rows) * self.tile_rows

    @property
    def filler(self) -> Filler:
        """What decodes rows."""
        return Filler(self.fill, self.block_rows, direct=True, grain=self.tile_rows)

    @cached_property
    def even(self) -> tuple[np.ndarray, int] | None:
        """Where all groups of neighbours in all rows take as many bits: what looks them up, see `values.windows`."""
        rates, classes = self.grid.rates, self.model.classes
        rate, weights = int(rates.flat[0]), classes.group
        if classes.rates is None:
            rate = classes.offset
        elif not (rates == rate).all():
            return None
        if not LOWEST <= rate <= UNIT:
            return None
        while weights * rate < UNIT:
            weights *= 2
        bits, rest = divmod(weights * rate, UNIT)
        whole = not rest and rates.shape[1] % weights == 0
        return windows(self.state_bits, self.model.shape, weights, bits) if whole else None

    def fill(self, first: int, stop: int, block: np.ndarray, stream: bool = False) -> None:
        """Decode rows from the start of a tile on, as any of the types of `kernels.outputs`."""
        grid, shape = self.grid, self.model.shape
        of, tiles = grid.of[first:stop], self.starts[first // self.tile_rows :]
        parts = self.string, tiles, self.tile_rows, of
        if self.even and shape.signed:
            kernel("trellis").decode_even(*parts, grid.scales, *self.even, *raw(block), stream)
            return
        single = block if block.dtype == np.float32 else np.empty(block.shape, np.float32)
        if self.even:
            kernel("trellis").decode_even(*parts, grid.scales, *self.even, *raw(single), False)
        else:
            table = values(self.state_bits, shape)
            kernel("trellis").decode(*parts, grid.rates, grid.scales, table, single)
        if not shape.signed:
            single += grid.centers[of]
            np.maximum(single, 0, out=single)
        if single is not block:
            finish(single, NO_SIGNS, block, stream)
