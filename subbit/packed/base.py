"""What a packed matrix is."""

from __future__ import annotations

from typing import Protocol

import numpy as np

from subbit.codecs.blocks import thread_count
from subbit.packed.blocks import Blocks

__all__ = ["Packed", "workers"]

_WORTH = 1 << 22
"""Weights × rows of x that take about as long as a thread takes to start."""


class Packed(Protocol):
    """A weight matrix that can be multiplied by."""

    @property
    def rows(self) -> int:
        """Numbers that come out."""
        ...

    @property
    def columns(self) -> int:
        """Numbers that go in."""
        ...

    @property
    def nbytes(self) -> int:
        """Bytes of memory that it holds."""
        ...

    def multiply(self, x: np.ndarray) -> np.ndarray:
        """x · Wᵀ: float32 (n, columns) → float32 (n, rows)."""
        ...

    @property
    def blocks(self) -> Blocks:
        """The same matrix by decoded blocks of rows."""
        ...


def workers(work: int) -> int:
    """How many threads to share so many weights × rows of x among."""
    return max(1, min(thread_count(), work // _WORTH))
