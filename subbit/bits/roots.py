"""Powers of two between whole ones, the same on every machine."""

from __future__ import annotations

import numpy as np

__all__ = ["FINEST", "POWERS"]

FINEST = 5
"""Grids of scales and steps are at finest 2^(1/2^5) apart."""


def _powers() -> np.ndarray:
    """2^(k/32) for k = 0 … 31, float64: products of square roots of square roots."""
    table = np.ones(1 << FINEST)
    root = 2.0
    for bit in reversed(range(FINEST)):
        root = float(np.sqrt(root))
        table[(np.arange(table.size) >> bit) & 1 == 1] *= root
    return table


POWERS = _powers()
