"""What a tensor's name says: the layer that it belongs to, and what it is in there.

`model.layers.3.mlp.experts.7.up.weight` is layer 3 of the stack `model.layers`, kind `mlp.experts.*.up`.
"""

from __future__ import annotations

import re
from typing import NamedTuple

__all__ = ["Place", "place_of"]

_NUMBER = re.compile(r"(?<![^._/\-])\d+(?![^._/\-])")
_MOST_DIGITS = 6


class Place(NamedTuple):
    """Where in the model: a stack of layers and a number in it, both empty where the name has none; and the kind."""

    stack: str
    layer: int | None
    kind: str


def place_of(name: str) -> Place:
    """Take the first number that stands alone as the layer's; further ones, as of experts, become stars."""
    found = _NUMBER.search(name)
    if found is None or len(found[0]) > _MOST_DIGITS:
        return Place("", None, _shorter(name))
    kind = _NUMBER.sub("*", name[found.end() :]).strip("._/-")
    return Place(name[: found.start()].strip("._/-"), int(found[0]), _shorter(kind) or "(whole)")


def _shorter(name: str) -> str:
    return name.removesuffix(".weight")
