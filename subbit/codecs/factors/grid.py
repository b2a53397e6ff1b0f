"""Positive scales as whole numbers: each the power of 2^(1/8), or of a finer root of two, that is nearest."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from subbit.bits.roots import FINEST, POWERS

__all__ = ["COARSE", "RANGE", "Grid", "nearest", "power"]

COARSE = 3
"""Encoders round scales to 2^(1/2^3): a finer grid costs more than it gains."""
RANGE = 24
"""Octaves between the smallest and the largest scale, at most."""


@dataclass(frozen=True)
class Grid:
    """Scales of rows and columns: 0 for code 0, else 2^((code − 1) / 2^resolution); int64, at most RANGE octaves."""

    rows: np.ndarray
    columns: np.ndarray
    resolution: int = COARSE

    @property
    def row_steps(self) -> np.ndarray:
        """Scales of the rows, float32."""
        return self._steps(self.rows)

    @property
    def column_steps(self) -> np.ndarray:
        """Scales of the columns, float32."""
        return self._steps(self.columns)

    def _steps(self, codes: np.ndarray) -> np.ndarray:
        fine = (codes - 1) << (FINEST - self.resolution)
        steps = np.ldexp(POWERS[fine & 31], fine >> FINEST)
        return np.where(codes > 0, steps, 0).astype(np.float32)


def nearest(scales: np.ndarray, resolution: int = COARSE) -> tuple[np.ndarray, int]:
    """Codes of scales ≥ 0, and what `power` needs to make up for the smallest one's being 1.

    Found by comparisons, so the same on every machine. Scales too small for the range become 0.
    """
    grid = POWERS[:: 1 << (FINEST - resolution)]
    mantissas, exponents = np.frexp(scales)
    octaves = (exponents.astype(np.int64) - 1) << resolution
    found = np.searchsorted(0.5 * grid * np.sqrt(grid[1]), mantissas) + octaves
    used = found[scales > 0]
    if used.size == 0:
        return np.zeros(scales.size, np.int64), 0
    lowest = max(int(used.min()), int(used.max()) + 1 - (RANGE << resolution))
    return np.where(scales > 0, np.maximum(found - lowest + 1, 0), 0), lowest


def power(code: int, resolution: int = COARSE) -> float:
    """2^(code / 2^resolution) for a code of either sign; 0 where float64 ends."""
    fine = code << (FINEST - resolution)
    return math.ldexp(float(POWERS[fine & 31]), min(fine >> FINEST, 1000))
