"""The door through which codecs read their sections."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from subbit.errors import SubbitError
from subbit.records import Buffer

__all__ = ["section_bytes"]


def section_bytes(sections: Mapping[str, Buffer], name: str, size: int | None = None) -> np.ndarray:
    """A section as uint8, not copied.

    Raises :class:`SubbitError`, kind "section", if it is missing or does not have `size` bytes.
    """
    if name not in sections:
        raise SubbitError(f"section {name!r} is missing", kind="section")
    stored = np.frombuffer(sections[name], np.uint8)
    if size is not None and stored.size != size:
        raise SubbitError(f"section {name!r} holds {stored.size} bytes, {size} are due", kind="section")
    return stored
