"""Arrays that may be more than memory holds: the first stay there, the rest goes to a temporary file."""

from __future__ import annotations

import math
import tempfile

import numpy as np

__all__ = ["IN_MEMORY", "Spool"]

IN_MEMORY = 1 << 30
"""Bytes that stay in memory."""


class Spool:
    """Keeps arrays; those beyond `limit` bytes become memory maps of one unnamed file in the system's temporary folder,
    which goes with the last of them. Maps are private: what is written to them is not kept."""

    def __init__(self, limit: int = IN_MEMORY) -> None:
        self._left = limit
        self._file = tempfile.TemporaryFile()  # noqa: SIM115 - it lives as long as its maps
        self._end = 0

    def keep(self, array: np.ndarray) -> np.ndarray:
        """The same numbers, in memory or in the file."""
        self._left -= array.nbytes
        if self._left >= 0 or not math.prod(array.shape):
            return array
        start, self._end = self._end, self._end + array.nbytes
        self._file.seek(start)
        self._file.write(np.ascontiguousarray(array).data)
        self._file.flush()
        return np.memmap(self._file, array.dtype, mode="c", offset=start, shape=array.shape)
