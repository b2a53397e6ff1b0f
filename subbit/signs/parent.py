"""The signs of a parent checkpoint: of the initialization, or of the model that this one was fine-tuned from."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from subbit.bits.packing import pack_signs
from subbit.parents import Relative
from subbit.signs.base import Free

__all__ = ["Base"]


@dataclass(frozen=True)
class Base(Relative, Free):
    """The signs of the parent's tensor of the same shape, known by its content hash `parent`: 0 bits a weight.

    Training turns few signs over (5 % cost .29 bits a weight as flips). Encoding and decoding need the tensor:
    `plane.given(tensor)`; without it they raise :class:`SubbitError`, kind "parent".
    """

    kind: ClassVar[str] = "base"
    parent: str | None = None

    def render(self, rows: int, cols: int, start: int, stop: int, out: np.ndarray) -> None:
        """Take the sign bits of rows start … stop."""
        out[:] = pack_signs(self.rows(rows, cols, start, stop))
