"""Integers times the scale of their group of columns."""

from __future__ import annotations

import numpy as np

from subbit.kernels.plain.finish import finish
from subbit.kernels.plain.rows import unpack_rows

__all__ = ["expand"]


def expand(
    packed: np.ndarray, width: int, scales: np.ndarray, group: int, out: np.ndarray, kind: int, stream: bool
) -> None:
    """out[i, j] = (code - 2^(width-1)) · scales[i, j // group], codes packed by rows; then :func:`finish`."""
    cols = out.shape[1]
    codes = unpack_rows(packed, cols, width).astype(np.float32) - np.float32(1 << (width - 1))
    with np.errstate(over="ignore"):
        block = codes * np.repeat(scales, group, axis=1)[:, :cols]
    finish(block, np.empty((0, 0), np.uint64), out, kind, stream)
