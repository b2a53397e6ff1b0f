"""`delta`: what fine-tuning added to the parent's weights, coded as `deadzone` does."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import ClassVar

import numpy as np

from subbit.codecs.base import ENCODER, stored_knobs
from subbit.codecs.blocks import Filler, decode_matrix, rows_per_block
from subbit.codecs.deadzone import DeadZone
from subbit.codecs.scalar.parts import SECTION_NAMES
from subbit.codecs.scalar.reading import decoder
from subbit.curvature import Curvature
from subbit.errors import SubbitError
from subbit.parents import Relative
from subbit.records import Encoded, Shape, matrix_shape
from subbit_formats.dtypes import dtype_name

__all__ = ["Delta"]


@dataclass(frozen=True)
class Delta(Relative):
    """W = parent + D: the difference D goes through :class:`DeadZone` at `rate` bits, the parent is not stored.

    Costs at most `rate` bits a weight. The relative error of W is that of D times ‖D‖² / ‖W‖², so a small step from
    the parent needs few bits. Encoding and decoding need the tensor: `codec.given(tensor)`; without it, for a tensor
    of another size, and for one with NaN or infinity they raise :class:`SubbitError`, kind "parent".
    """

    rate: float = field(default=0.8, metadata=ENCODER)
    parent: str | None = None
    id: ClassVar[str] = "delta"
    takes_curvature: ClassVar[bool] = True
    section_names: ClassVar[frozenset[str]] = SECTION_NAMES

    def __post_init__(self) -> None:
        super().__post_init__()
        self._inner()

    def bits(self, shape: Shape) -> int:
        """The budget, or the few bytes that even zeros need."""
        return self._inner().bits(shape)

    def encode(self, weight: np.ndarray, importance: np.ndarray | Curvature | None = None) -> Encoded:
        """Subtract in float32 and quantize to the budget."""
        difference = self.difference(weight).reshape(weight.shape)
        coded = self._inner().encode(difference, importance)
        return Encoded(self.id, stored_knobs(self), weight.shape, dtype_name(weight.dtype), coded.sections)

    def difference(self, weight: np.ndarray) -> np.ndarray:
        """W − parent as a float32 matrix, both rounded to float32 first; a SubbitError if it leaves that range."""
        rows, cols = matrix_shape(weight.shape)
        matrix = np.array(weight.reshape(rows, cols), dtype=np.float32, order="C")
        step = rows_per_block(cols)
        for k in range(0, rows, step):
            with np.errstate(over="ignore"):
                matrix[k : k + step] -= self.rows(rows, cols, k, min(k + step, rows))
            if not np.isfinite(matrix[k : k + step]).all():
                raise SubbitError("the difference from the parent is beyond float32", kind="parent")
        return matrix

    def decode(self, encoded: Encoded, out: np.ndarray | None = None) -> np.ndarray:
        """Rebuild all rows; see `filler`."""
        return decode_matrix(encoded, out, self.filler(encoded))

    def filler(self, encoded: Encoded) -> Filler:
        """Rebuild D block by block and add the parent's weights: one float32 addition each."""
        rows, cols = matrix_shape(tuple(encoded.shape))
        difference, block = decoder(encoded.sections, rows, cols, signed=True)

        def fill(start: int, stop: int, target: np.ndarray) -> None:
            difference(start, stop, target)
            with np.errstate(over="ignore"):
                np.add(self.rows(rows, cols, start, stop), target, out=target)

        return Filler(fill, block)

    def _inner(self) -> DeadZone:
        return DeadZone(rate=self.rate)
