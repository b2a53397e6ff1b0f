"""JSON objects from files that nobody vouches for."""

from __future__ import annotations

import json
from typing import Any, NoReturn

from subbit_formats.errors import SubbitError

__all__ = ["parse_object"]


def parse_object(data: bytes, what: str) -> dict[str, Any]:
    """Parse one JSON object; raises ``format`` for anything else, ``duplicate`` for a key given twice."""
    try:
        value = json.loads(data.decode("utf-8"), object_pairs_hook=_unique, parse_constant=_refuse)
    except (ValueError, RecursionError) as error:
        reason = "nested too deeply" if isinstance(error, RecursionError) else str(error)
        raise SubbitError(f"{what} is no valid JSON: {reason}", kind="format") from error
    if not isinstance(value, dict):
        raise SubbitError(f"{what} is no JSON object", kind="format")
    return value


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    result = dict(pairs)
    if len(result) != len(pairs):
        keys = [key for key, _ in pairs]
        twice = next(key for key in keys if keys.count(key) > 1)
        raise SubbitError(f"JSON key {twice!r} is given twice", kind="duplicate")
    return result


def _refuse(constant: str) -> NoReturn:
    raise ValueError(f"{constant} is not allowed")
