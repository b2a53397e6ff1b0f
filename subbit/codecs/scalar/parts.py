"""The small parts that the sections of scalar codecs are made of, and their names."""

from __future__ import annotations

from subbit.coders import varints
from subbit.errors import SubbitError

__all__ = ["SECTION_NAMES", "append_blob", "level_count", "read_blob"]

SECTION_NAMES = frozenset({"model", "codes", "beyond"})


def append_blob(model: bytearray, blob: bytes) -> None:
    """Append bytes behind their length."""
    model += varints.write([len(blob)]) + blob


def read_blob(view: memoryview, at: int) -> tuple[memoryview, int]:
    """The bytes behind the length at `at`, and the place behind them; a SubbitError if they are cut off."""
    size, at = varints.read(view, at)
    if at + size > len(view):
        raise SubbitError("the model is cut off", kind="section")
    return view[at : at + size], at + size


def level_count(alphabet: int, signed: bool) -> int:
    """Levels of an alphabet: both signs of a level are one."""
    return alphabet // 2 + 1 if signed else alphabet
