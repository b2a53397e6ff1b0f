"""The rule for knobs: values that any JSON library holds, none deep."""

from __future__ import annotations

import math
from itertools import chain
from types import NoneType
from typing import Any

from subbit_formats.sbit.index import CodecRecord
from subbit_formats.sbit.limits import MAX_KNOB_DEPTH
from subbit_formats.sbit.rules import broken

__all__ = ["check_knobs", "is_text"]

_CONTAINERS = (dict, list, tuple)


def check_knobs(codec: CodecRecord) -> None:
    """Knobs are plain JSON values of bounded depth, with numbers that every language can hold."""
    level: list[Any] = [codec.knobs]
    for _ in range(MAX_KNOB_DEPTH):  # all values of a depth together: there may be millions
        inner = [value.values() if type(value) is dict else value for value in level if type(value) in _CONTAINERS]
        keys = [key for value in level if type(value) is dict for key in value]
        others = [value for value in level if type(value) not in _CONTAINERS]
        if not (all(map(is_text, keys)) and _are_plain(others)):
            break
        level = list(chain.from_iterable(inner))
    if not _are_plain(level):
        raise broken("knobs", f"the knobs of codec {codec.id!r} cannot be stored")


def _are_plain(values: list[Any]) -> bool:
    """Whether none is an object or an array, no text half a character, and no number beyond limits."""
    if not set(map(type, values)) <= {str, int, float, bool, NoneType}:
        return False
    whole = [value for value in values if type(value) is int]
    return (
        min(whole, default=0) >= -(2**63)
        and max(whole, default=0) < 2**64
        and all(math.isfinite(value) for value in values if type(value) is float)
        and all(is_text(value) for value in values if type(value) is str)
    )


def is_text(value: object) -> bool:
    """Whether it is text that UTF-8 can hold."""
    try:
        return type(value) is str and value.encode() is not None
    except UnicodeEncodeError:  # half a surrogate pair
        return False
