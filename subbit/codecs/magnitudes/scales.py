"""|W| as a sum of a few products: a factor for every row times a factor for every column."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from subbit.codecs.blocks import parallel, rows_per_block
from subbit.codecs.knobs import check_knob
from subbit.codecs.magnitudes.base import Fill
from subbit.codecs.magnitudes.factorize import factorize
from subbit.codecs.sections import section_bytes
from subbit.errors import SubbitError
from subbit.kernels import kernel
from subbit.records import Buffer

__all__ = ["Scales"]

_DTYPES = (np.dtype("u1"), np.dtype("<f2"))
_LEVELS = (255, 1)


@dataclass(frozen=True)
class Scales:
    """M_ij = Σ_k r_ik · c_jk with factors ≥ 0, for 8 (or 16) · rank · (rows + cols) bits.

    Rank 1 of Gaussian magnitudes leaves ‖|W| − M‖² / ‖W‖² = 1 − 2/π = .363. Each column of factors has one
    float32 scale and is stored as uint8, or as float16 where uint8 would raise the error by more than
    one percent. `rank` is 1 … 64; others raise SubbitError, kind "knobs".
    """

    kind: ClassVar[str] = "scales"
    takes_gains: ClassVar[tuple[bool, bool]] = (True, True)
    section_names: ClassVar[frozenset[str]] = frozenset({"factors"})
    rank: int = 1

    def __post_init__(self) -> None:
        check_knob("rank", self.rank, 1, 64)

    def bits(self, rows: int, cols: int) -> int:
        """Factors as float16, two scales a rank, the mode byte."""
        return 8 * self._size(rows, cols, 2)

    def encode(self, magnitudes: np.ndarray, importance: np.ndarray | None = None) -> dict[str, bytes]:
        """Factorize, then take the smaller number format that keeps the error."""
        weights = np.broadcast_to(np.float32(1) if importance is None else importance, magnitudes.shape)
        weights = weights.astype(np.float32, copy=False)
        row_factors, col_factors = factorize(magnitudes, weights, self.rank)
        small, large = (_pack(mode, row_factors, col_factors) for mode in (0, 1))
        errors = [self._error({"factors": data}, magnitudes, weights) for data in (small, large)]
        return {"factors": small if errors[0] <= 1.01 * errors[1] else large}

    def decoder(self, sections: Mapping[str, Buffer], rows: int, cols: int) -> tuple[Fill, int]:
        """Add up the products in order of rank."""
        row_factors, col_factors = self.factors(sections, rows, cols)

        def fill(start: int, stop: int, block: np.ndarray) -> None:
            kernel("scales").compose(row_factors[:, start:stop], col_factors, block)

        return fill, rows_per_block(cols)

    def factors(self, sections: Mapping[str, Buffer], rows: int, cols: int) -> tuple[np.ndarray, np.ndarray]:
        """Row factors float32[rank, rows] and column factors [rank, cols], after checking size and values."""
        stored = section_bytes(sections, "factors")
        mode = int(stored[0]) if stored.size else 2
        if mode > 1 or stored.size != self._size(rows, cols, _DTYPES[mode].itemsize):
            raise SubbitError(f"{stored.size} bytes are no factors of {rows} x {cols}", kind="section")
        end = 1 + 8 * self.rank
        scales = np.frombuffer(stored[1:end].tobytes(), "<f4").reshape(2, self.rank, 1)
        factors = np.frombuffer(stored[end:].tobytes(), _DTYPES[mode]).astype(np.float32)
        split = self.rank * rows
        with np.errstate(over="ignore", invalid="ignore"):
            row_factors = factors[:split].reshape(self.rank, rows) * scales[0]
            col_factors = factors[split:].reshape(self.rank, cols) * scales[1]
        for values in (row_factors, col_factors):
            if not np.all((values >= 0) & (values < np.inf)):
                raise SubbitError("a factor is negative or not finite", kind="section")
        return row_factors, col_factors

    def regain(self, sections: Mapping[str, Buffer], rows: np.ndarray, columns: np.ndarray) -> dict[str, Buffer]:
        """Multiply the factors by gains and store them as float16, at up to twice the bytes."""
        row_factors, col_factors = self.factors(sections, rows.size, columns.size)
        factors = ((part * gain).astype(np.float32) for part, gain in ((row_factors, rows), (col_factors, columns)))
        return {**sections, "factors": _pack(1, *factors)}

    def _size(self, rows: int, cols: int, item: int) -> int:
        return 1 + self.rank * (8 + item * (rows + cols))

    def _error(self, sections: Mapping[str, bytes], matrix: np.ndarray, weights: np.ndarray) -> float:
        """Weighted squared error of the decoded matrix, summed in order."""
        rows, cols = matrix.shape
        fill, step = self.decoder(sections, rows, cols)
        squares = np.zeros(rows)

        def task(index: int) -> None:
            part = slice(index * step, min((index + 1) * step, rows))
            block = np.empty(matrix[part].shape, np.float32)
            fill(part.start, part.stop, block)
            block -= matrix[part]
            block *= np.sqrt(weights[part])
            kernel("rows").row_squares(block, squares[part])

        parallel(task, -(-rows // step))
        return float(np.cumsum(squares)[-1]) if rows else 0.0


def _pack(mode: int, row_factors: np.ndarray, col_factors: np.ndarray) -> bytes:
    """The mode byte, the scales of row and of column factors, then the factors, rank by rank."""
    scales, values = [], []
    for factors in (row_factors, col_factors):
        scale = (factors.max(axis=1, initial=0) / _LEVELS[mode]).astype("<f4")
        levels = factors / np.where(scale > 0, scale, np.inf)[:, None]
        scales.append(scale.tobytes())
        values.append((np.rint(levels).clip(0, 255) if mode == 0 else levels).astype(_DTYPES[mode]).tobytes())
    return b"".join([bytes([mode]), *scales, *values])
