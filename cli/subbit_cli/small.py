"""Small jobs do without Numba: loading it takes longer than they do with NumPy, and the bytes are the same."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

__all__ = ["DECODED", "ENCODED", "small_without_numba"]

ENCODED, DECODED = 1 << 16, 1 << 17
"""Bytes of a file to compress, and to decompress, that NumPy codes in about the time that Numba takes to load."""

_VARIABLE = "SUBBIT_KERNELS"


@contextmanager
def small_without_numba(path: str, limit: int) -> Iterator[None]:
    """Choose the NumPy kernels while a file of fewer bytes is at work, unless SUBBIT_KERNELS has chosen already."""
    small = os.path.isfile(path) and Path(path).stat().st_size < limit  # noqa: PTH113 (takes any name)
    if _VARIABLE in os.environ or not small:
        yield
        return
    os.environ[_VARIABLE] = "plain"
    try:
        yield
    finally:
        del os.environ[_VARIABLE]
