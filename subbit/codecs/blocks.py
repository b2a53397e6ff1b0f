"""Decode a matrix block of rows by block of rows, in parallel, into any floating output.

A codec supplies `fill(start, stop, block)`, which writes rows start … stop as float32 into `block`. Where
the output is float32 the block is the output itself; else it is a scratch of one block per thread
that is rounded once into place. A `fill` that is direct writes and rounds by itself.

Memory that is given, and large, was touched before and is read later: it is written past the caches.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import numpy as np

from subbit.codecs.threads import parallel, thread_count
from subbit.errors import SubbitError
from subbit.kernels.outputs import NO_SIGNS, finish, writes
from subbit.records import Encoded, matrix_shape
from subbit_formats.dtypes import numpy_dtype

__all__ = ["BLOCK_WEIGHTS", "Filler", "decode_matrix", "output_for", "parallel", "rows_per_block", "thread_count"]

BLOCK_WEIGHTS = 1 << 18
"""Weights in a unit of work: 1 MiB of float32, which stays in cache between the steps of a decoder."""


_STREAMED = 1 << 24


def rows_per_block(cols: int) -> int:
    """Rows of a matrix that make one unit of work."""
    return max(1, BLOCK_WEIGHTS // max(cols, 1))


def output_for(encoded: Encoded, out: np.ndarray | None) -> np.ndarray:
    """A new array of the tensor's own shape and dtype, or `out` after checking that it fits."""
    if out is None:
        return np.empty(encoded.shape, numpy_dtype(encoded.dtype))
    if out.shape != tuple(encoded.shape):
        raise SubbitError(f"out has shape {out.shape}, the tensor {tuple(encoded.shape)}", kind="out")
    if not out.flags.c_contiguous or not out.flags.writeable:
        raise SubbitError("out must be C-contiguous and writeable", kind="out")
    return out


class Filler(NamedTuple):
    """What writes any rows of a matrix: `fill(start, stop, block)`, float32; `start` is a multiple of `rows`.

    One that is `direct` also writes the other types of `kernels.outputs`: `fill(start, stop, block, stream)`, past the
    caches where `stream` says so. With a `grain`, fewer rows from a multiple of that will do as well.
    """

    fill: Callable[..., None]
    rows: int
    direct: bool = False
    grain: int | None = None


def decode_matrix(encoded: Encoded, out: np.ndarray | None, filler: Filler) -> np.ndarray:
    """Fill the whole tensor block by block; returns `out` or the new array."""
    fill, step, direct = filler.fill, filler.rows, filler.direct
    target = output_for(encoded, out)
    rows, cols = matrix_shape(tuple(encoded.shape))
    if rows * cols == 0:
        return target
    matrix = target.reshape(rows, cols)
    known, stream = writes(matrix.dtype), out is not None and out.nbytes >= _STREAMED

    def task(index: int) -> None:
        start, stop = index * step, min((index + 1) * step, rows)
        if direct and known:
            fill(start, stop, matrix[start:stop], stream)
            return
        if matrix.dtype == np.float32:
            fill(start, stop, matrix[start:stop])
            return
        scratch = np.empty((stop - start, cols), np.float32)
        fill(start, stop, scratch)
        if known:
            finish(scratch, NO_SIGNS, matrix[start:stop], stream)
        else:
            matrix[start:stop] = scratch

    parallel(task, -(-rows // step))
    return target
