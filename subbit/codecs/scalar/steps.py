"""The step of every weight: the tensor's, times a power of two for its row and one for its column.

One step for the whole tensor gives the least squared error. Where errors are weighted, a row takes a step by the
inverse square root of what its errors cost, and so does a column: then an error of one step costs the same everywhere,
which is water-filling by an entropy coder (reverse water-filling: Cover and Thomas, Elements of Information Theory,
theorem 10.3.3).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from subbit.bits.roots import FINEST, POWERS
from subbit.codecs.scalar.density import quarter_octaves
from subbit.coders.adaptive import IntegerReader, stored_size

__all__ = ["RANGE", "StepCodes", "Steps", "in_range"]

RANGE = 24
"""Octaves that relative steps span at most."""
_QUARTERS = 2
_EXTREME = 100  # octaves from 1 beyond which steps or their inverses could leave float32
_SUBNORMAL = -126  # octave below which float32 loses digits, and steps with it
_LARGEST = np.float32(1.5e38)  # larger weights are cut here: a level is rebuilt at less than twice its weights


@dataclass(frozen=True)
class Steps:
    """Weight (i, j) has the tensor's step × rows[i] × columns[j]; both float32."""

    rows: np.ndarray
    columns: np.ndarray

    @classmethod
    def equal(cls, rows: int, cols: int) -> Steps:
        """One step for all."""
        return cls(np.ones(rows, np.float32), np.ones(cols, np.float32))

    def take(self, rows: np.ndarray) -> Steps:
        """The same steps for a selection of rows."""
        return Steps(self.rows[rows], self.columns)

    @property
    def equals(self) -> bool:
        """Whether all weights have one step."""
        return bool((self.rows == self.rows[:1]).all() and (self.columns == self.columns[:1]).all())


@dataclass(frozen=True)
class StepCodes:
    """Relative steps as whole numbers ≥ 0 of 2^-resolution octaves, a row and a column: what files hold."""

    rows: np.ndarray
    columns: np.ndarray
    resolution: int = _QUARTERS

    @classmethod
    def equal(cls, rows: int, cols: int) -> StepCodes:
        """One step for all, which takes no bytes."""
        return cls(np.zeros(rows, np.int64), np.zeros(cols, np.int64))

    @classmethod
    def for_costs(cls, rows: np.ndarray, columns: np.ndarray) -> StepCodes:
        """Inverse square roots, in quarter octaves, of what errors in rows and columns cost (float64, ≥ 0)."""
        return cls(_codes_for(rows), _codes_for(columns))

    def steps(self) -> Steps:
        """What the codes stand for: float32, and the same on every machine."""
        rows, columns = (_relative(codes << (FINEST - self.resolution)) for codes in (self.rows, self.columns))
        return Steps(rows, columns)

    @property
    def bits(self) -> int:
        """What they add to a model."""
        return 8 * stored_size(*self.numbers())

    def numbers(self) -> list[np.ndarray]:
        """What is stored: 0 for one step; else the resolution + 1, the rows' codes, the columns'."""
        if not (self.rows.any() or self.columns.any()):
            return [np.zeros(1, np.int64)]
        return [np.array([self.resolution + 1]), self.rows, self.columns]

    @classmethod
    def read(cls, stream: IntegerReader, rows: int, cols: int) -> StepCodes:
        """Read :meth:`numbers` back; raises :class:`SubbitError` (kind "section") for damage."""
        resolution = int(stream.take(1, FINEST + 1)[0]) - 1
        if resolution < 0:
            return cls.equal(rows, cols)
        limit = RANGE << resolution
        return cls(stream.take(rows, limit), stream.take(cols, limit), resolution)


def in_range(matrix: np.ndarray) -> tuple[np.ndarray, int]:
    """A matrix whose steps float32 can hold, and the power of two that it was divided by.

    Nearly always that is the matrix itself and 0. One beyond 2^±100 is scaled; one of subnormal numbers alone
    (below 1.2e-38) becomes zeros.
    """
    peak = max(matrix.max(initial=0), -matrix.min(initial=0))
    exponent = int(np.frexp(peak)[1])
    if peak == 0 or abs(exponent) <= _EXTREME:
        return matrix, 0
    if exponent <= _SUBNORMAL:
        return np.zeros_like(matrix), 0
    return np.ldexp(np.clip(matrix, -_LARGEST, _LARGEST), -exponent), exponent


def _codes_for(costs: np.ndarray) -> np.ndarray:
    used = costs > 0
    if not used.any():
        return np.zeros(costs.size, np.int64)
    codes = -quarter_octaves(np.sqrt(costs))
    codes = np.minimum(codes, codes[used].max())  # what costs nothing takes the largest step that anything else has
    codes = np.maximum(codes, codes.max() - (RANGE << _QUARTERS))
    fitted: np.ndarray = codes - codes.min()
    return fitted


def _relative(codes: np.ndarray) -> np.ndarray:
    scaled: np.ndarray = np.ldexp(POWERS[codes & 31], (codes >> FINEST).astype(np.int64))
    return scaled.astype(np.float32)
