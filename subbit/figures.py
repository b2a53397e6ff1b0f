"""The errors that compressing measured, as a file states them: one number for each tensor that lost something.

Needs no NumPy: inspecting a file reads them, too.
"""

from __future__ import annotations

import math
import struct
from collections.abc import Sequence

from subbit.errors import SubbitError
from subbit_formats.sbit import Archive

__all__ = ["ERRORS", "LOSSLESS", "pack_errors", "rounded", "stated_errors"]

ERRORS = "subbit.errors"
"""Name of the extra."""
LOSSLESS = ("dense", "same")
"""Ids of codecs that lose nothing and of which nothing is stated."""
_LARGEST = 3.4e38


def pack_errors(errors: Sequence[float]) -> bytes:
    """The extra: a float32 for each relative squared error, in the order of the tensors' names."""
    return struct.pack(f"<{len(errors)}f", *(error if error < _LARGEST else math.inf for error in errors))


def rounded(error: float) -> float:
    """An error as it comes back from a file."""
    (found,) = struct.unpack("<f", pack_errors([error]))
    return float(found)


def stated_errors(archive: Archive) -> dict[str, float] | None:
    """‖W − W'‖² / ‖W‖² of every tensor, as the file says; None where it says nothing.

    Raises :class:`SubbitError` (kind "figures") for figures of other tensors than the file holds.
    """
    if ERRORS not in archive.extras:
        return None
    stated = dict.fromkeys(archive.tensors, 0.0)
    lossy = [entry.name for entry in archive.tensors.values() if entry.codec not in LOSSLESS]
    size = archive.extras[ERRORS]  # as it is stated: compared before anything is decompressed
    if size != 4 * len(lossy):
        text = f"states errors of {size / 4:g} tensors, {len(lossy)} have lost something"
        hint = "the weights may be sound, but nothing can be said about how near they are: compress again"
        raise SubbitError(text, kind="figures", path=archive.path, hint=hint)
    return stated | dict(zip(lossy, struct.unpack(f"<{len(lossy)}f", archive.extra(ERRORS)), strict=True))
