"""Codecs that need a parent's tensor, as a whole or in their sign plane, and how it reaches them."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from subbit.codecs.base import Codec
from subbit.codecs.signed import Signed
from subbit.parents import Relative

__all__ = ["relative_part", "with_parent"]


def relative_part(codec: Codec) -> Relative | None:
    """The part of a codec that needs the parent's tensor: itself, its sign plane, or None."""
    part = codec.signs if isinstance(codec, Signed) else codec
    return part if isinstance(part, Relative) else None


def with_parent(codec: Codec, tensor: np.ndarray) -> Codec:
    """The codec with the parent's tensor at hand; raises :class:`SubbitError` (kind "parent") for another one."""
    if isinstance(codec, Signed) and isinstance(codec.signs, Relative):
        return replace(codec, signs=codec.signs.given(tensor))
    return codec.given(tensor) if isinstance(codec, Relative) else codec
