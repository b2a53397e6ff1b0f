"""Numba form of the group scales; see `plain.uniform` for the definition."""

from __future__ import annotations

import numpy as np

from subbit.kernels.compiled.jit import jit
from subbit.kernels.compiled.rows import read_code

__all__ = ["expand"]


@jit
def expand(packed, width, scales, group, out):  # type: ignore[no-untyped-def]
    zero = 1 << (width - 1)
    for i in range(out.shape[0]):
        for start in range(0, out.shape[1], group):
            scale = scales[i, start // group]
            for j in range(start, min(start + group, out.shape[1])):
                code = packed[i, j] if width == 8 else read_code(packed[i], j, width)
                out[i, j] = np.float32(np.int32(code) - np.int32(zero)) * scale
