"""float32 to float16, rounded to nearest even; subnormal numbers are kept, and what is too large is infinite."""

from __future__ import annotations

import numpy as np

__all__ = ["narrow"]


def narrow(block: np.ndarray, out: np.ndarray) -> None:
    """Write the bits of float32 `block` as float16 into uint16 `out` of the same shape; NaN becomes some NaN."""
    with np.errstate(over="ignore", under="ignore"):
        out[:] = block.astype(np.float16).view(np.uint16)
