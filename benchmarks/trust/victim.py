"""What a program does with a file that it was given; and what must not come out of that."""

from __future__ import annotations

import os
import warnings
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

import subbit
from benchmarks.trust.seeds import goldens, parent
from subbit.analysis.bits_per_weight import count_bits
from subbit.analysis.contents import count_parts, describe_file, list_tensors
from subbit.errors import SubbitError, UsageError
from subbit.model import File
from subbit_formats.sbit import Archive, Reader, open_reader

__all__ = ["ALLOWED", "complaint", "examine", "look", "use", "verify", "warm_up"]

ALLOWED = 1 << 20
"""Bytes of weights and extras that a file may state; all goldens state less."""
REPORTS = (count_bits, count_parts, list_tensors, describe_file)
KERNELS = ("plain", "compiled")
_LONGEST = 5000  # characters of a message: names, which may have 1024, stand in it


def warm_up(folder: Path) -> None:
    """Use every golden, so that all modules, caches and compiled kernels are there."""
    for data in goldens().values():
        (folder / "golden.sbit").write_bytes(data)
        use(folder / "golden.sbit")


def look(path: Path) -> list[str]:
    """Open a file and compare its size; returns what broke the promise that only :class:`SubbitError` leaves."""
    found: list[str] = []
    archive = _tried(partial(Reader, path), found)
    if isinstance(archive, Reader):
        with archive:
            _tried(partial(archive.check_size, ALLOWED), found)
    return found


def verify(path: Path) -> list[str]:
    """Open a file or a set of shards and verify it."""
    found: list[str] = []
    archive = _tried(partial(open_reader, path), found)
    if isinstance(archive, Archive):
        with archive:
            _tried(archive.verify, found)
    return found


def use(path: Path, kernels: Sequence[str] = KERNELS) -> list[str]:
    """Open a file, inspect it, read its extras, verify it, decode each tensor with some kinds of kernels.

    Returns what broke the promise that only a complete :class:`SubbitError` leaves, and that kernels agree.
    """
    found: list[str] = []
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        file = _tried(partial(subbit.open, path, base=parent(), max_bytes=ALLOWED), found)
        if isinstance(file, File):
            with file:
                examine(file, kernels, found)
    return found


def examine(file: File, kernels: Sequence[str], found: list[str]) -> None:
    """All that can be done with an open file; adds what broke the promise to `found`."""
    for report in REPORTS:
        _tried(partial(report, file.archive), found)
    for name in file.extras:
        _tried(partial(file.extra, name), found)
    _tried(file.archive.verify, found)
    for name in file.archive.tensors:
        decoded = []
        for kind in kernels:
            os.environ["SUBBIT_KERNELS"] = kind
            decoded.append(_tried(file[name].decode, found))
        if not all(_equal(decoded[0], other) for other in decoded[1:]):
            found.append(f"tensor {name!r}: kernels disagree")


def complaint(error: BaseException) -> str | None:
    """What is wrong with an error that left the library; None for a good one."""
    if not isinstance(error, SubbitError):
        return f"{type(error).__name__}: {error}"
    if isinstance(error, UsageError):
        return f"blames the caller: {error}"
    if error.kind == "memory":
        return f"ran out of memory: {error}"
    if not (error.path and error.kind and error.hint and 0 < len(str(error)) <= _LONGEST):
        return f"no path, kind or way out: {error!r} {error.kind} {error.path} {error.hint}"
    return None


def _tried(action: Callable[[], Any], found: list[str]) -> Any:
    try:
        return action()
    except Exception as error:
        if (text := complaint(error)) is not None:
            found.append(text)
        return None


def _equal(one: np.ndarray | None, other: np.ndarray | None) -> bool:
    if one is None or other is None:
        return one is other
    return one.tobytes() == other.tobytes()
