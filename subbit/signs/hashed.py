"""Independent random signs straight from the counter hash."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from subbit.kernels import kernel
from subbit.signs.base import Seeded, clear_tail, word_count

__all__ = ["Hashed"]


@dataclass(frozen=True)
class Hashed(Seeded):
    """64 signs from every hash word, stream 2, row after row; costs 0 bits and trains like ordinary signs."""

    kind: ClassVar[str] = "hashed"
    seed: int = 0

    def render(self, rows: int, cols: int, start: int, stop: int, out: np.ndarray) -> None:
        """Word w of row i is hash word i · ceil(cols / 64) + w."""
        kernel("counter_hash").fill(self.seed, 2, start * word_count(cols), out)
        clear_tail(out, cols)
