"""A list of arrays that may be more than memory holds: the first stay there, the rest waits in a temporary file."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Sequence
from functools import partial
from threading import Lock
from typing import IO, Any, overload

import numpy as np

__all__ = ["IN_MEMORY", "Spool"]

IN_MEMORY = 1 << 28
"""Bytes of a list that stay in memory, where nothing else is said."""


class Spool(Sequence[np.ndarray]):
    """Arrays in the order in which they were appended; those beyond `limit` bytes are read whenever they are asked for,
    from an unnamed file in the system's temporary folder that goes with the list. Threads may read at once.

    They are read, not mapped: the pages of a map would count as memory of the process for as long as the list lives.
    """

    def __init__(self, limit: int = IN_MEMORY) -> None:
        self._left = limit
        self._entries: list[np.ndarray | tuple[int, np.dtype[Any], tuple[int, ...]]] = []
        self._file: IO[bytes] | None = None
        self._lock = Lock()

    def append(self, array: np.ndarray) -> None:
        """Keep an array, which is not to change from now on."""
        self._left -= array.nbytes
        if self._left >= 0:
            self._entries.append(array)
            return
        with self._lock:
            if self._file is None:
                self._file = tempfile.TemporaryFile()  # noqa: SIM115 - it lives as long as the list
            start = self._file.seek(0, 2)
            self._file.write(np.ascontiguousarray(array).reshape(-1).view(np.uint8).data)
        self._entries.append((start, array.dtype, array.shape))

    def keep(self, array: np.ndarray) -> Callable[[], np.ndarray]:
        """Append an array; the result reads it again."""
        self.append(array)
        return partial(self.__getitem__, len(self) - 1)

    def __len__(self) -> int:
        return len(self._entries)

    @overload
    def __getitem__(self, index: int) -> np.ndarray: ...
    @overload
    def __getitem__(self, index: slice) -> list[np.ndarray]: ...
    def __getitem__(self, index: int | slice) -> np.ndarray | list[np.ndarray]:
        if isinstance(index, slice):
            return [self[k] for k in range(len(self))[index]]
        entry = self._entries[index]
        if isinstance(entry, np.ndarray):
            return entry
        assert self._file is not None
        start, dtype, shape = entry
        found = np.empty(shape, dtype)
        with self._lock:
            self._file.seek(start)
            self._file.readinto(found.reshape(-1).view(np.uint8).data)  # type: ignore[attr-defined]
        return found
