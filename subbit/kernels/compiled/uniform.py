"""Numba form of the group scales; see `plain.uniform` for the definition."""

from __future__ import annotations

from functools import cache
from typing import Any

import numpy as np

from subbit.kernels.compiled.finish import finish
from subbit.kernels.compiled.jit import jit
from subbit.kernels.compiled.rows import address, on_lines, read_code
from subbit.kernels.compiled.simd import UNIT, fence
from subbit.kernels.compiled.simd import expand as simd_expand

__all__ = ["expand"]


def expand(
    packed: np.ndarray, width: int, scales: np.ndarray, group: int, out: np.ndarray, kind: int, stream: bool
) -> None:
    if width in (4, 8) and group % UNIT == 0 and out.shape[1] % UNIT == 0:
        _in_registers(width, kind, stream and on_lines(out))(packed, scales, group, out)
        return
    block = np.empty(out.shape, np.float32) if kind else out.view(np.float32)
    _expand(packed, width, scales, group, block)
    if kind:
        finish(block, np.empty((0, 0), np.uint64), out, kind, stream)


@cache
def _in_registers(width: int, kind: int, stream: bool) -> Any:
    """For groups and columns by the 32, and codes of half a byte or a whole one."""

    @jit
    def loop(packed, scales, group, out):  # type: ignore[no-untyped-def]
        cols, size = out.shape[1], 2 if kind else 4
        for i in range(out.shape[0]):
            codes, target = address(packed, i), address(out, i)
            for start in range(0, cols, group):
                units = np.intp(min(group, cols - start) // UNIT)
                scale = scales[i, start // group]
                simd_expand(codes + start * width // 8, scale, units, target + size * start, width, kind, stream)
        if stream:
            fence()

    return loop


@jit
def _expand(packed, width, scales, group, out):  # type: ignore[no-untyped-def]
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
