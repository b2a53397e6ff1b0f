"""The sign of a low-rank product of small integers."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from subbit.kernels import kernel
from subbit.signs.base import Seeded, check_knob

__all__ = ["MAX_RANK", "LowRank"]

MAX_RANK = 4096


@dataclass(frozen=True)
class LowRank(Seeded):
    """T_ij = sign(Σ_k u_ik v_jk), zero counts as +; factors are the set bits of a hash word less 32.

    u_ik is word i · rank + k of stream 0, v_jk word j · rank + k of stream 1: close to normal, variance 16.
    Costs 0 bits; `rank` additions a weight to decode. From rank 16 on it trains like random signs.
    Source: Sakai & Ichikawa, "Sign Lock-In" (arXiv 2602.17063), T = sign(G Hᵀ), here in integers.
    """

    kind: ClassVar[str] = "lowrank"
    rank: int
    seed: int = 0

    def __post_init__(self) -> None:
        super().__post_init__()
        check_knob(self.kind, "rank", self.rank, 1, MAX_RANK)

    def render(self, rows: int, cols: int, start: int, stop: int, out: np.ndarray) -> None:
        """Multiply the factors of these rows with those of all columns, in int32."""
        row_factors = self._factors(0, start, stop - start)
        col_factors = np.ascontiguousarray(self._factors(1, 0, cols).T)
        kernel("sign_planes").lowrank(row_factors, col_factors, out)

    def _factors(self, stream: int, start: int, count: int) -> np.ndarray:
        words = kernel("counter_hash").words(self.seed, stream, start * self.rank, count * self.rank)
        factors: np.ndarray = kernel("sign_planes").factors(words)
        return factors.reshape(count, self.rank)
