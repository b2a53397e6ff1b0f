"""The one check that knobs of codecs need."""

from __future__ import annotations

from typing import Any

from subbit.errors import SubbitError

__all__ = ["check_knob"]


def check_knob(name: str, value: Any, low: int, high: int) -> None:
    """Raise :class:`SubbitError` (kind "knobs") unless `value` is a whole number in low … high."""
    if type(value) is not int or not low <= value <= high:
        raise SubbitError(f"{name} is {value!r}, not a whole number in {low} … {high}", kind="knobs")
