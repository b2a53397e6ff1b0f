"""What a checkpoint says about its signs: safetensors metadata `subbit.template`, JSON by tensor name."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from subbit.errors import SubbitError
from subbit.signs import from_dict, to_dict
from subbit.signs.base import Seeded, SignPlane

__all__ = ["METADATA_KEY", "parse", "to_json"]

METADATA_KEY = "subbit.template"


def parse(text: str) -> dict[str, SignPlane]:
    """Read `{tensor: {"kind": …, knobs…}}`; only seeded kinds can be declared.

    Raises :class:`SubbitError` (kind "template") for anything else, naming the tensor. A declaration is a
    claim: whoever uses it compares the plane with the weights first.
    """
    try:
        entries = json.loads(text, object_pairs_hook=_unique)
    except (ValueError, RecursionError) as error:
        raise SubbitError(f"metadata {METADATA_KEY!r} is no JSON: {error}", kind="template") from None
    if not isinstance(entries, dict):
        raise SubbitError(f"metadata {METADATA_KEY!r} is no JSON object", kind="template")
    return {name: _plane(name, entry) for name, entry in entries.items()}


def to_json(planes: Mapping[str, SignPlane]) -> str:
    """The declaration of these tensors, sorted by name, without spaces."""
    entries = {name: to_dict(plane) for name, plane in planes.items()}
    return json.dumps(entries, sort_keys=True, separators=(",", ":"), ensure_ascii=False)


def _plane(name: str, entry: Any) -> SignPlane:
    try:
        if not isinstance(entry, dict):
            raise SubbitError(f"the declaration is {entry!r}, not an object", kind="template")
        plane = from_dict(entry)
        if not isinstance(plane, Seeded):
            raise SubbitError(f"{plane.kind!r} signs have no seed and cannot be declared", kind="template")
    except SubbitError as error:
        raise error.at(tensor=name) from None
    return plane


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    if len(dict(pairs)) != len(pairs):
        raise ValueError("a name occurs twice in an object")
    return dict(pairs)
