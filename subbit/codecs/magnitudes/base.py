"""The |W| part of a sign × magnitude codec.

A magnitude coder turns a non-negative float32 matrix into byte sections and back. It is a frozen
dataclass of knobs and obeys the rules of `codecs.base`: a `kind` names a byte layout for ever, `bits`
bounds the cost before encoding, encoding is a function of its arguments alone, decoded values are
non-negative float32 that are the same bits everywhere, and whatever is read is validated before a
kernel touches it (a bad section is a SubbitError, kind "section").

Decoding goes row block by row block: `decoder` checks the sections once and returns a `Fill` that
writes any block of rows, together with the number of rows that it likes a block to have.
`codecs.blocks.decode_matrix` drives it from several threads.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import ClassVar, Protocol, runtime_checkable

import numpy as np

from subbit.records import Buffer

__all__ = ["NO_ANGLES", "Angles", "Fill", "Finishing", "Magnitudes"]

Fill = Callable[[int, int, np.ndarray], None]
"""`fill(start, stop, block)` writes rows start … stop - 1 into the float32 array `block`.

It is called from several threads at once on disjoint row blocks; `start` is a multiple of the block rows.
"""

Angles = tuple[np.ndarray, np.ndarray]
"""Of rows and columns, uint16; see `signs.angle`."""

NO_ANGLES: Angles = (np.empty(0, np.uint16), np.empty(0, np.uint16))


@runtime_checkable
class Finishing(Protocol):
    """A `Fill` that can also do the last step by itself, while its numbers are in the nearest cache."""

    def __call__(self, start: int, stop: int, block: np.ndarray) -> None:
        """Write rows as float32."""
        ...

    def finished(self, start: int, stop: int, words: np.ndarray, angles: Angles, out: np.ndarray, stream: bool) -> None:
        """Write rows with signs, in any type of `kernels.outputs`; see `finish` there.

        Signs are the words of these rows, XOR those of the angles of all rows and columns; each may be left out.
        """
        ...


@runtime_checkable
class Magnitudes(Protocol):
    """One way of writing |W| down; see the module's text for the contract."""

    kind: ClassVar[str]
    section_names: ClassVar[frozenset[str]]

    def bits(self, rows: int, cols: int) -> int:
        """An upper bound on the stored bits of a matrix of this shape."""
        ...

    def encode(self, magnitudes: np.ndarray, importance: np.ndarray | None = None) -> dict[str, bytes]:
        """Turn a finite, non-negative float32 matrix into sections.

        `importance`, where given, broadcasts to the matrix: non-negative weights on squared errors.
        """
        ...

    def decoder(self, sections: Mapping[str, Buffer], rows: int, cols: int) -> tuple[Fill, int]:
        """Check the sections and return the function that fills row blocks, and its rows a block."""
        ...
