"""What a scalar code stores besides its symbols, as one short stream; SPEC.md defines it."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from subbit.codecs.blocks import rows_per_block
from subbit.codecs.scalar.beyond import Beyond
from subbit.codecs.scalar.density import MAX_CONTEXTS, Density
from subbit.codecs.scalar.parts import CENTERED, center_numbers, read_centers
from subbit.codecs.scalar.quantizer import LEVELS
from subbit.codecs.scalar.steps import StepCodes
from subbit.coders import zigzag
from subbit.coders.adaptive import IntegerReader, IntegerWriter
from subbit.coders.levels import Levels
from subbit.coders.runs import Runs
from subbit.errors import SubbitError

__all__ = ["Model"]

_FARTHEST = 1 << 16  # codes of rows and columns


@dataclass(frozen=True)
class Model:
    """Step, contexts, relative steps, levels, centres (1/256 step), weights past the last level, words of all blocks.

    `sizes` has one number for each block; the last is not stored, as the section ends there.
    """

    step: np.float32
    density: Density
    codes: StepCodes
    levels: Levels
    offsets: np.ndarray
    beyond: Beyond
    sizes: np.ndarray

    def to_bytes(self) -> bytes:
        """The step as float32, and everything else through :class:`IntegerWriter`."""
        density, stream = self.density, IntegerWriter()
        contexts = [np.array([density.contexts - 1, density.base])]
        if density.contexts > 1:
            contexts += [density.rows, density.columns]
        centers = center_numbers(self.offsets, self.levels.count)
        sizes = zigzag.fold(np.diff(self.sizes[:-1], prepend=0))
        parts = *contexts, *self.codes.numbers(), *self.levels.numbers(), *centers, *self.beyond.numbers(), sizes
        for numbers in parts:
            stream.add(numbers)
        return np.array([self.step], "<f4").tobytes() + stream.finish()

    @classmethod
    def read(cls, stored: np.ndarray, rows: int, cols: int, signed: bool) -> tuple[Model, int]:
        """The model at the start of a section and where it ends; raises :class:`SubbitError` (kind "section")."""
        if stored.size < 4:
            raise SubbitError("the model is cut off", kind="section")
        step = stored[:4].copy().view("<f4")[0].astype(np.float32)
        if not (np.isfinite(step) and step > 0):
            raise SubbitError(f"the step {step} is not a positive number", kind="section")
        stream = IntegerReader(stored[4:])
        density = _read_density(stream, rows, cols)
        codes = StepCodes.read(stream, rows, cols)
        levels = Levels.read(stream, density.contexts, LEVELS)
        offsets = read_centers(stream, density.contexts, levels.count)
        beyond = Beyond.read(stream, rows * cols, signed)
        sizes = np.zeros(-(-rows // rows_per_block(cols)), np.int64)
        sizes[:-1] = np.cumsum(zigzag.unfold(stream.take(max(sizes.size - 1, 0))))
        end = 4 + stream.finish()
        if sizes.size:
            sizes[-1] = (stored.size - end) // 2 - sizes.sum()
        if (stored.size - end) % 2 or int(sizes.min(initial=0)) < 0:
            raise SubbitError("the sizes of blocks do not add up", kind="section")
        return cls(step, density, codes, levels, offsets, beyond, sizes), end

    def values(self, signed: bool) -> np.ndarray:
        """What every symbol stands for, in steps: exact multiples of 1/256 in float32, (contexts, symbols)."""
        count = self.levels.count
        symbols = np.arange(2 * count - 1 if signed else count)
        levels = (symbols + 1) // 2 if signed else symbols
        fixed = np.broadcast_to(levels * 256, (len(self.offsets), symbols.size)).copy()
        near = levels < CENTERED
        fixed[:, near] += self.offsets[:, levels[near]]
        if not signed and int(fixed.min()) < 0:
            raise SubbitError("a magnitude is negative", kind="section")
        if signed:
            fixed = np.where((symbols > 0) & (symbols % 2 == 0), -fixed, fixed)
        return (fixed / 256).astype(np.float32)

    def runs(self, signed: bool) -> Runs:
        """The tables of symbols."""
        return Runs.of(self.levels, signed)


def _read_density(stream: IntegerReader, rows: int, cols: int) -> Density:
    less_one, base = stream.take(2, _FARTHEST).tolist()
    if less_one >= MAX_CONTEXTS:
        raise SubbitError(f"{less_one + 1} contexts", kind="section")
    if less_one == 0:
        return Density.none(rows, cols)
    row_codes, columns = (stream.take(count, _FARTHEST).astype(np.int32) for count in (rows, cols))
    return Density(row_codes, columns, base, less_one + 1)
