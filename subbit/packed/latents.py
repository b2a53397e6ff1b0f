"""Binary factors: a row of x becomes a few latents, and these the result; both by tables of signs."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from subbit.codecs.blocks import parallel
from subbit.codecs.factors.layout import Head
from subbit.kernels import kernel
from subbit.packed.base import workers
from subbit.packed.blocks import Blocks, Shaped, check_fits

__all__ = ["Latents"]

_LANES = 16  # rows of x at once


@dataclass(frozen=True, eq=False)
class Latents(Shaped):
    """W = diag(row scales) · U · diag(latents) · Vᵀ · diag(column scales), of U and V eight signs in a byte."""

    into: np.ndarray  # uint8 (columns / 8, latents)
    out_of: np.ndarray  # uint8 (latents / 8, rows)
    latents: np.ndarray
    row_scales: np.ndarray
    column_scales: np.ndarray
    blocks: Blocks

    @classmethod
    def of(cls, head: Head, blocks: Blocks) -> Latents:
        """From factors without a residual."""
        rank = head.latents.size
        out_of = np.empty((-(-rank // 8), blocks.rows), np.uint8)
        for octet, packed in enumerate(out_of):
            some = np.unpackbits(head.row_signs[8 * octet : 8 * octet + 8], axis=1, bitorder="little")
            packed[:] = np.packbits(some[:, : blocks.rows], axis=0, bitorder="little")[0]
        return cls(
            np.ascontiguousarray(head.col_signs.T),
            out_of,
            head.latents.astype(np.float32),
            (head.unit * head.grid.row_steps).astype(np.float32),
            head.grid.column_steps.astype(np.float32),
            blocks,
        )

    @property
    def nbytes(self) -> int:
        """Signs and scales; blocks read the sections."""
        parts = (self.into, self.out_of, self.latents, self.row_scales, self.column_scales)
        return sum(part.nbytes for part in parts)

    def multiply(self, x: np.ndarray) -> np.ndarray:
        """Two products with signs, and three by scales."""
        check_fits(x, self.columns)
        found = _signed(self.into, x * self.column_scales, self.latents.size) * self.latents
        y = _signed(self.out_of, found, self.rows)
        y *= self.row_scales
        return y


def _signed(codes: np.ndarray, x: np.ndarray, outputs: int) -> np.ndarray:
    y = np.empty((len(x), outputs), np.float32)
    chunks = workers(outputs * x.shape[1] * min(len(x), _LANES))

    def task(index: int) -> None:
        first, stop = (outputs * k // chunks for k in (index, index + 1))
        for start in range(0, len(x), _LANES):
            some = slice(start, start + _LANES)
            kernel("octets").multiply(codes, x[some], first, stop, y[some])

    parallel(task, chunks)
    return y
