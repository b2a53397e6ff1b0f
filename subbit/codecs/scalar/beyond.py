"""Weights past the last level, by place and by their value in whole steps."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from subbit.codecs.scalar.quantizer import LEVELS
from subbit.codecs.scalar.search import Quantized
from subbit.coders import zigzag
from subbit.coders.adaptive import IntegerReader
from subbit.errors import SubbitError

__all__ = ["Beyond"]


@dataclass(frozen=True)
class Beyond:
    """Positions (rising) in the matrix row by row, and values in steps; both int64."""

    positions: np.ndarray
    values: np.ndarray

    @classmethod
    def of(cls, result: Quantized) -> Beyond:
        """Round what lies half a step or more past the last level."""
        if not result.found.beyond:
            return cls(np.empty(0, np.int64), np.empty(0, np.int64))
        scene, steps = result.scene, result.scene.steps
        last = [2 * LEVELS - 3, 2 * LEVELS - 2] if scene.signed else [LEVELS - 1]
        positions = np.flatnonzero(np.isin(result.symbols.ravel(), last))
        row, col = np.divmod(positions, scene.matrix.shape[1])
        inverse = (np.float32(1) / (result.step * steps.rows[row])) * (np.float32(1) / steps.columns[col])
        scaled = result.targets[row, col] * inverse
        far = np.abs(scaled) >= np.float32(LEVELS - 1) + np.float32(0.5)
        values = np.rint(np.minimum(np.maximum(scaled[far], -(2.0**30)), 2.0**30)).astype(np.int64)
        return cls(positions[far], values)

    def numbers(self) -> list[np.ndarray]:
        """How many; gaps between positions; values with their sign in the lowest bit."""
        gaps = np.diff(self.positions, prepend=-1) - 1
        return [np.array([self.positions.size]), gaps, zigzag.fold(self.values)]

    @classmethod
    def read(cls, stream: IntegerReader, weights: int, signed: bool) -> Beyond:
        """Read :meth:`numbers` back; raises :class:`SubbitError` (kind "section") for what a matrix cannot hold."""
        count = int(stream.take(1, weights)[0])
        positions = np.cumsum(stream.take(count, weights) + 1) - 1
        values = zigzag.unfold(stream.take(count))
        if count and int(positions[-1]) >= weights:
            raise SubbitError("a position beyond the last weight", kind="section")
        if not signed and int(values.min(initial=0)) < 0:
            raise SubbitError("a magnitude is negative", kind="section")
        return cls(positions, values)
