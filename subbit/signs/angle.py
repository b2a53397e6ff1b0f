"""The rank-2 template: an angle for every row and column, the sign from the half turn they add up to."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from subbit.kernels import kernel
from subbit.records import Buffer
from subbit.signs.base import Seeded

__all__ = ["Angle"]


@dataclass(frozen=True)
class Angle(Seeded):
    """sign(u_i · v_j) for directions in the plane, exactly: T_ij = top bit of (φ_j + a_i) in wrapping uint16.

    The angles are the low 16 bits of hash words, stream 0 for the rows and 1 for the columns. Costs 0 bits.
    Keeps 81.06 % of its energy in rank 2. Source: Sakai & Ichikawa, "Sign Lock-In" (arXiv 2602.17063), the
    template T = sign(G Hᵀ) at rank 2, here in integers.
    """

    kind: ClassVar[str] = "angle"
    seed: int = 0

    def render(self, rows: int, cols: int, start: int, stop: int, out: np.ndarray) -> None:
        """One wrapping addition a weight."""
        kernel("sign_planes").angle(self._angles(0, start, stop), self._angles(1, 0, cols), out)

    def angles(self, data: Buffer, rows: int, cols: int) -> tuple[np.ndarray, np.ndarray]:
        """Those of all rows and of all columns, uint16; a SubbitError if `data` holds anything."""
        self.check_empty(data)
        return self._angles(0, 0, rows), self._angles(1, 0, cols)

    def _angles(self, stream: int, start: int, stop: int) -> np.ndarray:
        words: np.ndarray = kernel("counter_hash").words(self.seed, stream, start, stop - start)
        return words.astype(np.uint16)
