"""Numba form of the group scales; see `plain.uniform` for the definition."""

from __future__ import annotations

import numpy as np

from subbit.kernels.compiled.jit import jit
from subbit.kernels.compiled.rows import read_code

__all__ = ["expand"]


@jit
def expand(packed, width, scales, group, out):  # type: ignore[no-untyped-def]
    zero = np.int32(1 << (width - 1))
    for i in range(out.shape[0]):
        row = packed[i]
        for start in range(0, out.shape[1], group):
            scale, part = scales[i, start // group], out[i, start : start + group]
            if width == 8:
                _bytes(row[start : start + group], scale, part)
            elif width == 4 and start & 1 == 0:
                _nibbles(row[start >> 1 :], scale, part)
            else:
                for j in range(part.size):
                    part[j] = np.float32(np.int32(read_code(row, start + j, width)) - zero) * scale


@jit
def _bytes(codes, scale, out):  # type: ignore[no-untyped-def]
    for j in range(out.size):
        out[j] = np.float32(np.int32(codes[j]) - np.int32(128)) * scale


@jit
def _nibbles(codes, scale, out):  # type: ignore[no-untyped-def]
    for j in range(out.size >> 1):
        both = np.int32(codes[j])
        out[2 * j] = np.float32((both & 15) - np.int32(8)) * scale
        out[2 * j + 1] = np.float32((both >> 4) - np.int32(8)) * scale
    if out.size & 1:
        out[out.size - 1] = np.float32((np.int32(codes[out.size >> 1]) & 15) - np.int32(8)) * scale
