"""`deadzone`: scalar quantization with a dead zone and an entropy coder, signs and magnitudes together."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import ClassVar

import numpy as np

from subbit.codecs.base import ENCODER, stored_knobs
from subbit.codecs.blocks import Filler, decode_matrix
from subbit.codecs.scalar.coding import budget_bits, check_rate, encode_scalar
from subbit.codecs.scalar.parts import SECTION_NAMES
from subbit.codecs.scalar.reading import decoder
from subbit.codecs.scalar.regain import regain_scalar
from subbit.curvature import Curvature
from subbit.records import Encoded, Shape, matrix_shape
from subbit_formats.dtypes import dtype_name

__all__ = ["DeadZone"]


@dataclass(frozen=True)
class DeadZone:
    """Round weights to a grid, mostly to zero, and entropy-code what is left: the honest baseline.

    One step for the whole tensor; where importance is given, rows and columns take the steps that it asks for. Levels
    are chosen by error and rate together, each level is rebuilt at its centre, and statistics are kept per class of row
    × column density. With a :class:`Curvature` of whole second moments columns are coded one after the other, each
    making up for what those before it lost.

    Costs at most `rate` bits a weight, side information included: the step is searched to spend them. Raises
    :class:`SubbitError` for knobs out of range. Source: Sullivan, "Efficient scalar quantization of exponential and
    Laplacian random variables" (1996); feedback: QuIP, arXiv 2307.13304; entropy coder: Duda, arXiv 1311.2540.
    """

    rate: float = field(default=0.8, metadata=ENCODER)
    id: ClassVar[str] = "deadzone"
    takes_curvature: ClassVar[bool] = True
    takes_gains: ClassVar[tuple[bool, bool]] = (True, True)
    section_names: ClassVar[frozenset[str]] = SECTION_NAMES

    def __post_init__(self) -> None:
        """Refuse knobs that mean nothing."""
        check_rate(self.rate)

    def bits(self, shape: Shape) -> int:
        """The budget, or the few bytes that even zeros need."""
        return budget_bits(self.rate, *matrix_shape(shape))

    def encode(self, weight: np.ndarray, importance: np.ndarray | Curvature | None = None) -> Encoded:
        """Quantize to the budget; `importance` gives each row and column the step that it asks for."""
        rows, cols = matrix_shape(weight.shape)
        matrix = np.ascontiguousarray(weight.reshape(rows, cols), dtype=np.float32)
        found = encode_scalar(matrix, self.rate, importance, signed=True)
        return Encoded(self.id, stored_knobs(self), weight.shape, dtype_name(weight.dtype), found)

    def decode(self, encoded: Encoded, out: np.ndarray | None = None) -> np.ndarray:
        """Rebuild all rows; see `filler`."""
        return decode_matrix(encoded, out, self.filler(encoded))

    def filler(self, encoded: Encoded) -> Filler:
        """Rebuild: symbol → level → centre × step."""
        rows, cols = matrix_shape(tuple(encoded.shape))
        fill, block = decoder(encoded.sections, rows, cols, signed=True)
        return Filler(fill, block, direct=True)

    def regain(self, encoded: Encoded, rows: np.ndarray, columns: np.ndarray) -> Encoded:
        """Multiply the steps of rows and columns by gains; see `scalar.regain`."""
        return replace(encoded, sections=regain_scalar(encoded.sections, rows, columns))
