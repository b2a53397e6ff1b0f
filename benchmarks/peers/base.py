"""What every peer is to the runner: weights in, a count of stored bytes and a way back out."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

__all__ = ["Stored", "UnavailableError"]


class UnavailableError(Exception):
    """This cannot be measured here; the text says why and is printed in place of the figures."""


@dataclass(frozen=True)
class Stored:
    """One matrix after compression: the bytes that decoding needs, and decoding itself (into `out`, where it can)."""

    size: int
    decode: Callable[..., np.ndarray]
