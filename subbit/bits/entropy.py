"""How many bits a symbol is worth at least: for predictions and reports, never for stored bytes."""

from __future__ import annotations

import math

import numpy as np

from subbit.errors import SubbitError

__all__ = ["binary_entropy", "entropy"]


def binary_entropy(p: float) -> float:
    """Bits a coin that falls on one side with probability `p` is worth: H(.5) = 1, H(0) = H(1) = 0."""
    if not 0 <= p <= 1:
        raise SubbitError(f"{p} is no probability")
    return -sum(q * math.log2(q) for q in (p, 1 - p) if q > 0)


def entropy(histogram: np.ndarray) -> float:
    """Bits a symbol drawn from these counts is worth (order 0); 0 for no counts at all."""
    counts = [int(count) for count in np.asarray(histogram).ravel() if count]
    total = sum(counts)
    return math.fsum(count / total * math.log2(total / count) for count in counts)
