"""Freed memory goes back to the system: glibc keeps arrays of up to 32 MB in its heaps, where they lie in pieces."""

from __future__ import annotations

import ctypes

__all__ = ["freed"]

_OFTEN_ENOUGH = 1 << 26
"""Bytes that are freed between two returns: what goes back has to be had again, a page at a time."""

_waiting = 0


def freed(count: int) -> None:
    """Take note of `count` bytes that were freed; now and then return what is free in all heaps.

    Does nothing where the C library is not glibc.
    """
    global _waiting
    _waiting += count
    if _waiting < _OFTEN_ENOUGH:
        return
    _waiting = 0
    try:
        trim = ctypes.CDLL(None).malloc_trim
    except (AttributeError, OSError, TypeError):  # TypeError: Windows takes no None
        return
    trim(ctypes.c_size_t(0))
