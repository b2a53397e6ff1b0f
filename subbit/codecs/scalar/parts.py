"""The small parts that the section of scalar codecs is made of, and its name."""

from __future__ import annotations

import numpy as np

from subbit.coders import zigzag
from subbit.coders.adaptive import IntegerReader

__all__ = ["CENTERED", "SECTION", "SECTION_NAMES", "center_numbers", "read_centers"]

SECTION = "codes"
SECTION_NAMES = frozenset({SECTION})
CENTERED = 4
"""Levels whose centre is stored."""
_FARTHEST = 1 << 12


def center_numbers(offsets: np.ndarray, levels: int) -> list[np.ndarray]:
    """First centres, in 1/256 step from their levels (contexts, levels), as differences to the context before."""
    offsets = offsets[:, :levels].astype(np.int64)
    shift = 0 if (offsets & 3).any() else 2
    return [np.array([shift]), zigzag.fold(np.diff(offsets >> shift, axis=0, prepend=0)).T.ravel()]


def read_centers(stream: IntegerReader, contexts: int, levels: int) -> np.ndarray:
    """The offsets back from :func:`center_numbers`, int64 (contexts, levels), at most 4 levels."""
    near = min(levels, CENTERED)
    shift = int(stream.take(1, 2)[0])
    moves = zigzag.unfold(stream.take(near * contexts, _FARTHEST)).reshape(near, contexts)
    return np.ascontiguousarray(np.cumsum(moves, axis=1).T << shift)
