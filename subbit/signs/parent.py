"""The signs of a parent checkpoint: of the initialization, or of the model that this one was fine-tuned from."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from subbit.bits.packing import pack_signs
from subbit.errors import SubbitError
from subbit.parents import Relative
from subbit.records import Buffer

__all__ = ["Base"]


@dataclass(frozen=True)
class Base(Relative):
    """The signs of the parent's tensor of the same shape, known by its content hash `parent`: 0 bits a weight.

    Training turns few signs over (5 % cost .29 bits a weight as flips). Encoding and decoding need the tensor:
    `plane.given(tensor)`; without it they raise :class:`SubbitError`, kind "parent".
    """

    kind: ClassVar[str] = "base"
    parent: str | None = None

    def bits(self, rows: int, cols: int) -> int:
        """Nothing: 0."""
        return 0

    def encode(self, words: np.ndarray, rows: int, cols: int) -> bytes:
        """Nothing: the plane is the parent's, whatever the signs are."""
        return b""

    def fill(self, data: Buffer, rows: int, cols: int, start: int, stop: int, out: np.ndarray) -> None:
        """Take the sign bits of rows start … stop; a SubbitError if `data` holds anything."""
        if memoryview(data).nbytes:
            raise SubbitError("'base' signs store nothing, yet there are bytes", kind="section")
        out[:] = pack_signs(self.rows(rows, cols, start, stop))
