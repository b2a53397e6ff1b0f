"""All of a trellis code but its bits: the start of the section."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from subbit.codecs.trellis.classes import HIGHEST, UNIT, Classes, Grid
from subbit.codecs.trellis.values import HALF, HEAVY, NORMAL, PHASES, Shape
from subbit.coders import zigzag
from subbit.coders.adaptive import IntegerReader, IntegerWriter
from subbit.errors import SubbitError

__all__ = ["TILE", "Model", "tile_rows"]

TILE = 1 << 14
"""Weights in a tile, at most, unless a row has more."""
_FARTHEST = 255
_FIXED, _SHARED, _OWN, _HEAVY = 0, 1, 2, 4
_GROUP = 3  # the place of the group's binary logarithm


@dataclass(frozen=True, eq=False)
class Model:
    """Scales and rates of all weights, and the shape of the values; a step of 0 makes everything 0."""

    classes: Classes
    step: np.float32
    loss: np.float32
    bias: np.float32
    shape: Shape

    def grid(self) -> Grid:
        """Scales, centres and rates by class of row."""
        return self.classes.grid(self.step, self.loss, self.bias)

    def to_bytes(self) -> bytes:
        """A mode byte, the floats, and all codes through :class:`IntegerWriter`."""
        classes, stream = self.classes, IntegerWriter()
        shared = classes.rates is classes.scales
        mode = _FIXED if classes.rates is None else _SHARED if shared else _OWN
        codes = [*classes.scales, *(() if shared or classes.rates is None else classes.rates)]
        for numbers in [zigzag.fold(np.array([classes.offset])), *codes]:
            stream.add(numbers)
        floats = [self.step, self.loss] if self.shape.signed else [self.step, self.loss, self.bias]
        mode |= classes.group.bit_length() - 1 << _GROUP | (_HEAVY if self.shape is HEAVY else 0)
        start = bytes([mode])
        return start + np.array(floats, "<f4").tobytes() + stream.finish()

    @classmethod
    def read(cls, stored: np.ndarray, rows: int, cols: int, signed: bool) -> tuple[Model, int]:
        """The model at the start of a section and where it ends; raises :class:`SubbitError` (kind "section")."""
        end = 9 if signed else 13
        mode = int(stored[0]) if stored.size >= end else 255
        kind, group = mode & 3, 1 << (mode >> _GROUP)
        if kind > _OWN or group > (1 if kind else PHASES) or (mode & _HEAVY and not signed):
            raise SubbitError("not the start of a trellis code", kind="section")
        floats = stored[1:end].copy().view("<f4").astype(np.float32)
        if not (np.isfinite(floats).all() and (floats >= 0).all()):
            raise SubbitError("a scale is negative or not finite", kind="section")
        stream = IntegerReader(stored[end:])
        offset = int(zigzag.unfold(stream.take(1, 1 << 26))[0])
        scales = stream.take(rows, _FARTHEST), stream.take(cols, _FARTHEST)
        rates = None if kind == _FIXED else scales
        if kind == _OWN:
            rates = stream.take(rows, _FARTHEST), stream.take(cols, _FARTHEST)
        if rates is None and not 0 <= group * offset <= HIGHEST:
            raise SubbitError(f"a rate of {offset} / 65536 bit", kind="section")
        shape = HALF if not signed else HEAVY if mode & _HEAVY else NORMAL
        bias = np.float32(0) if signed else floats[2]
        return cls(Classes(scales, rates, offset, group), floats[0], floats[1], bias, shape), end + stream.finish()

    def starts(self, grid: Grid) -> np.ndarray:
        """The first bit of every tile behind the model, and the end of the last, int64."""
        sums = grid.row_rates()
        step = tile_rows(grid.rates.shape[1])
        bits = -(-np.add.reduceat(sums, np.arange(0, sums.size, step)) // UNIT)
        return np.concatenate([[0], np.cumsum(bits)])


def tile_rows(cols: int) -> int:
    """Rows of a tile."""
    return max(1, TILE // max(cols, 1))
