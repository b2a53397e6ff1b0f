"""`factors`: two matrices of signs with a few numbers between them, alone or with a scalar code of what they miss."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import Any, ClassVar

import numpy as np

from subbit.codecs.base import ENCODER, stored_knobs
from subbit.codecs.blocks import Filler, decode_matrix
from subbit.codecs.deadzone import DeadZone
from subbit.codecs.factors.heads import encode_head, regain_head, smallest_bytes
from subbit.codecs.factors.layout import Head
from subbit.codecs.magnitudes.base import Fill
from subbit.codecs.scalar.parts import SECTION
from subbit.codecs.scalar.reading import decoder
from subbit.codecs.scalar.regain import regain_scalar
from subbit.curvature import Curvature
from subbit.errors import SubbitError
from subbit.records import Buffer, Encoded, Shape, matrix_shape
from subbit_formats.dtypes import dtype_name

__all__ = ["Factors"]


@dataclass(frozen=True)
class Factors:
    """Write W as diag(a) · U · diag(s) · Vᵀ · diag(b) with U and V of ±1: as many columns r as the budget holds.

    r · (rows + cols) bits for the signs, about 4 bits a row and a column and 12 a latent for the scales, all within
    `rate` bits a weight (at least r = 1). Good where singular values σ_i fall: at half a bit a matrix of 256² keeps an
    error ‖W − W'‖² / ‖W‖² of .62 if it is Gaussian, .43 with σ_i ~ i^−½, .08 with σ_i ~ 1 / i.

    `residual` gives that share of the budget to a `deadzone` of what the factors leave over. Errors are weighted by row
    and by column. Raises :class:`SubbitError` (kind "knobs") for a rate outside 0 … 4 or a share outside 0 … 0.95.
    Sources: LittleBit, arXiv 2506.13771 (form); NanoQuant, arXiv 2602.06694 (fit).
    """

    rate: float = field(default=0.5, metadata=ENCODER)
    residual: float = field(default=0.0, metadata=ENCODER)
    id: ClassVar[str] = "factors"
    takes_curvature: ClassVar[bool] = True
    takes_gains: ClassVar[tuple[bool, bool]] = (True, True)
    section_names: ClassVar[frozenset[str]] = frozenset({"rows", "columns", "scales", "residual"})

    def __post_init__(self) -> None:
        """Refuse knobs that mean nothing."""
        if isinstance(self.rate, bool) or not 0 < self.rate <= 4:
            raise SubbitError(f"{self.rate} bits a weight is not within 0 … 4", kind="knobs")
        if isinstance(self.residual, bool) or not 0 <= self.residual <= 0.95:
            raise SubbitError(f"{self.residual} is not a share within 0 … 0.95", kind="knobs")

    def bits(self, shape: Shape) -> int:
        """The budget, or what a single latent needs."""
        rows, cols = matrix_shape(shape)
        return 8 * max(int(self.rate * rows * cols / 8), smallest_bytes(rows, cols))

    def encode(self, weight: np.ndarray, importance: np.ndarray | Curvature | None = None) -> Encoded:
        """Fit the factors to their share of the budget, then code what is left over with the rest."""
        rows, cols = matrix_shape(weight.shape)
        matrix = np.ascontiguousarray(weight.reshape(rows, cols), dtype=np.float32)
        budget = int(self.rate * rows * cols / 8)
        head = encode_head(matrix, int((1 - self.residual) * budget), importance)
        residual = None
        if self.residual:
            left = budget - sum(len(section) for section in head.to_sections().values())
            residual = _encode_residual(matrix, head, 8 * left, importance)
        sections: dict[str, Buffer] = {**replace(head, residual=residual is not None).to_sections()}
        if residual is not None:
            sections["residual"] = residual
        return Encoded(self.id, stored_knobs(self), weight.shape, dtype_name(weight.dtype), sections)

    def decode(self, encoded: Encoded, out: np.ndarray | None = None) -> np.ndarray:
        """Rebuild all rows; see `filler`."""
        return decode_matrix(encoded, out, self.filler(encoded))

    def filler(self, encoded: Encoded) -> Filler:
        """Add up signed latents, multiply by the column's and the row's scale, add the residual if there is one."""
        rows, cols = matrix_shape(tuple(encoded.shape))
        head = Head.from_sections(encoded.sections, rows, cols)
        fill, block = head.filler(rows, cols)
        if head.residual:
            rest, block = decoder({SECTION: encoded.sections["residual"]}, rows, cols, signed=True)
            fill = _sum(fill, rest)
        return Filler(fill, block)

    def regain(self, encoded: Encoded, rows: np.ndarray, columns: np.ndarray) -> Encoded:
        """Multiply the scales of rows and columns, and the steps of the residual, by gains."""
        head = Head.from_sections(encoded.sections, rows.size, columns.size)
        sections: dict[str, Buffer] = {**regain_head(head, rows, columns).to_sections()}
        if head.residual:
            sections["residual"] = regain_scalar({SECTION: encoded.sections["residual"]}, rows, columns)[SECTION]
        return replace(encoded, sections=sections)


def _encode_residual(matrix: np.ndarray, head: Head, bits: int, importance: Any) -> Buffer | None:
    """A `deadzone` of the difference; none where the bits do not hold one."""
    codec = DeadZone(min(max(bits, 1) / matrix.size, 12))
    if codec.bits(matrix.shape) > bits:
        return None
    difference = np.empty_like(matrix)
    head.filler(*matrix.shape)[0](0, len(matrix), difference)
    np.subtract(matrix, difference, out=difference)
    return codec.encode(difference, importance).sections[SECTION]


def _sum(head: Fill, rest: Fill) -> Fill:
    def fill(start: int, stop: int, block: np.ndarray) -> None:
        scratch = np.empty_like(block)
        rest(start, stop, scratch)
        head(start, stop, block)
        with np.errstate(over="ignore"):
            block += scratch

    return fill
