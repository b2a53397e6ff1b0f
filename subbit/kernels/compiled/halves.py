"""Numba form of the cast to float16, which NumPy does one number at a time; see `plain.halves`."""

from __future__ import annotations

import numpy as np

from subbit.kernels.compiled.jit import jit

__all__ = ["narrow"]


@jit
def narrow(block, out):  # type: ignore[no-untyped-def]
    for i in range(block.shape[0]):
        narrow_row(block[i], out[i])


@jit
def narrow_row(row, out):  # type: ignore[no-untyped-def]
    # Selections instead of branches, so that the compiler takes many numbers at once.
    one, half, bits = np.uint32(1), np.uint32(0x0FFF), row.view(np.uint32)
    for j in range(row.size):
        x = bits[j]
        size = x & np.uint32(0x7FFFFFFF)
        normal = (size - np.uint32(0x38000000) + half + ((size >> np.uint32(13)) & one)) >> np.uint32(13)
        is_small = size < np.uint32(0x38800000)
        small = np.int32(np.rint(abs(row[j]) * np.float32(1 << 24))) if is_small else np.int32(0)
        found = np.uint32(small) if is_small else normal
        found = np.uint32(0x7C00) if size >= np.uint32(0x477FF000) else found
        found = np.uint32(0x7E00) if size > np.uint32(0x7F800000) else found
        out[j] = np.uint16(found | ((x >> np.uint32(16)) & np.uint32(0x8000)))
