"""Arrays between pages that nobody may touch: a kernel that reads or writes past one ends the process.

The processor itself sees every access, those of vector instructions too, but only past whole pages: so everything runs
twice, with arrays that end where their pages end, and with arrays that start where their pages start.
"""

from __future__ import annotations

import ctypes
import mmap
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import ModuleType
from typing import Any
from unittest.mock import patch

import numpy as np

import subbit.kernels

__all__ = ["PLACES", "Guard"]

PLACES = ("end", "start")
_PAGE = mmap.PAGESIZE
_NO_ACCESS = 0
_LEAST = 1 << 20


class Guard:
    """Hands out memory at the `place`, "end" or "start", of its pages; what has the same number has the same memory."""

    def __init__(self, place: str) -> None:
        self.place = place
        self.calls = 0
        self._mapped: dict[tuple[Any, int], np.ndarray] = {}

    def empty(self, key: Any, shape: tuple[int, ...], dtype: Any, strides: tuple[int, ...] | None = None) -> np.ndarray:
        """An array with nothing but forbidden pages on one side; strides are positive."""
        dtype = np.dtype(dtype)
        extent = int(np.prod(shape)) * dtype.itemsize
        if strides is not None and extent:
            extent = sum((n - 1) * step for n, step in zip(shape, strides, strict=True)) + dtype.itemsize
        memory = self._memory(key, extent)
        offset = memory.size - extent if self.place == "end" else 0
        return np.ndarray(shape, dtype, memory.data, offset, strides)

    def copy(self, key: Any, array: np.ndarray) -> np.ndarray:
        """The array in guarded memory: same numbers, strides and flags, so that the same machine code runs."""
        strides = array.strides if all(step >= 0 for step in array.strides) else None
        guarded = self.empty(key, array.shape, array.dtype, strides)
        guarded[...] = array
        guarded.flags.writeable = array.flags.writeable
        return guarded

    def section(self, key: Any, data: bytes) -> memoryview:
        """Bytes as a file hands them out: a view that cannot be written to."""
        return memoryview(self.copy(("section", key), np.frombuffer(data, np.uint8)))

    @contextmanager
    def kernels(self) -> Iterator[None]:
        """Give all kernels guarded copies of their arrays, and take back what they wrote."""
        load = subbit.kernels._module
        with patch.object(subbit.kernels, "_module", lambda kind, name: _Kernels(self, load(kind, name))):
            yield

    def call(self, function: Callable[..., Any], arguments: tuple[Any, ...]) -> Any:
        """Call with guarded copies of the arrays."""
        self.calls += 1
        arrays = [(k, value) for k, value in enumerate(arguments) if isinstance(value, np.ndarray)]
        inside = list(arguments)
        for k, array in arrays:
            inside[k] = self.copy(k, array)
        found = function(*inside)
        for k, array in arrays:
            if array.flags.writeable:
                array[...] = inside[k]
        if isinstance(found, tuple):
            return tuple(part.copy() if isinstance(part, np.ndarray) else part for part in found)
        return found.copy() if isinstance(found, np.ndarray) else found

    def _memory(self, key: Any, size: int) -> np.ndarray:
        pages = -(-max(size, _LEAST) // _PAGE)
        pages = 1 << (pages - 1).bit_length()
        if (key, pages) not in self._mapped:
            self._mapped[key, pages] = _between_forbidden_pages(pages)
        return self._mapped[key, pages]


class _Kernels:
    """A module of kernels that run on guarded memory."""

    def __init__(self, guard: Guard, module: ModuleType) -> None:
        self._guard, self._module = guard, module

    def __getattr__(self, name: str) -> Any:
        function = getattr(self._module, name)
        return lambda *arguments: self._guard.call(function, arguments)


def _between_forbidden_pages(pages: int) -> np.ndarray:
    mapped = mmap.mmap(-1, (pages + 2) * _PAGE)
    memory = np.frombuffer(mapped, np.uint8)
    protect = ctypes.CDLL(None, use_errno=True).mprotect
    for page in (0, pages + 1):
        address = ctypes.c_void_p(memory.ctypes.data + page * _PAGE)
        if protect(address, ctypes.c_size_t(_PAGE), ctypes.c_int(_NO_ACCESS)):
            raise OSError(ctypes.get_errno(), "mprotect")
    return memory[_PAGE:-_PAGE]
