"""Entries of a codebook, looked up by their codes."""

from __future__ import annotations

import numpy as np

from subbit.kernels.plain.finish import finish
from subbit.kernels.plain.rows import unpack_rows
from subbit.kernels.plain.sign_planes import angle

__all__ = ["gather"]


def gather(
    packed: np.ndarray, width: int, table: np.ndarray, dim: int, scales: np.ndarray, words: np.ndarray,
    turns: np.ndarray, angles: np.ndarray, out: np.ndarray, kind: int, stream: bool,
) -> None:  # fmt: skip
    """Scale of the row · the components of table[2**width, ≥ dim] that its codes name, finished into out[rows, cols].

    A row of the table is a multiple of 16 long. Signs are the bits of `words` where there are some, XOR those that
    :func:`angle` makes of `turns` and `angles` where there are some; the others are those of :func:`finish`.
    """
    codes = unpack_rows(packed, -(-out.shape[1] // dim), width)
    entries = table[codes, :dim].reshape(len(codes), -1)[:, : out.shape[1]]
    if turns.size:
        turned = np.empty((len(out), -(-out.shape[1] // 64)), np.uint64)
        angle(turns, angles, turned)
        words = turned ^ words if words.size else turned
    finish(entries * scales[:, None], words, out, kind, stream)
