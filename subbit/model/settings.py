"""The config.json that travels with weights: which model they are of."""

from __future__ import annotations

import json
from os import PathLike
from typing import Any

from subbit.errors import SubbitError

__all__ = ["parse_settings"]


def parse_settings(text: bytes, path: str | PathLike[str], hint: str) -> dict[str, Any]:
    """The config.json of the file `path` as a dict; raises :class:`SubbitError` (kind "config") for anything else."""
    try:
        settings = json.loads(text)
    except ValueError:
        settings = None
    if not isinstance(settings, dict):
        raise SubbitError("its config.json is no JSON object", kind="config", path=path, hint=hint)
    return settings
