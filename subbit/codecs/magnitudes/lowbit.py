"""`lowbit`: entropy-coded scalar magnitudes, for weights whose signs come from elsewhere."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import ClassVar

import numpy as np

from subbit.codecs.base import ENCODER
from subbit.codecs.magnitudes.base import Fill
from subbit.codecs.scalar.coding import budget_bits, check_rate, encode_scalar
from subbit.codecs.scalar.parts import SECTION_NAMES
from subbit.codecs.scalar.reading import decoder
from subbit.codecs.scalar.regain import regain_scalar
from subbit.records import Buffer

__all__ = ["LowBit"]


@dataclass(frozen=True)
class LowBit:
    """Round |W| to few levels and entropy-code them; unlike a dead zone, level 0 is rebuilt at its centre too.

    Half-normal magnitudes at half a bit keep all but .18 of the energy (Shannon's bound is .154). Costs at most
    `rate` bits a weight, side information included.
    """

    rate: float = field(default=0.5, metadata=ENCODER)
    kind: ClassVar[str] = "lowbit"
    takes_gains: ClassVar[tuple[bool, bool]] = (True, True)
    section_names: ClassVar[frozenset[str]] = SECTION_NAMES

    def __post_init__(self) -> None:
        """Refuse knobs that mean nothing."""
        check_rate(self.rate)

    def bits(self, rows: int, cols: int) -> int:
        """The budget, or the few bytes that a constant needs."""
        return budget_bits(self.rate, rows, cols)

    def encode(self, magnitudes: np.ndarray, importance: np.ndarray | None = None) -> dict[str, bytes]:
        """Quantize to the budget; `importance` gives each row and column the step that it asks for."""
        matrix = np.ascontiguousarray(magnitudes, dtype=np.float32)
        return encode_scalar(matrix, self.rate, importance, signed=False)

    def decoder(self, sections: Mapping[str, Buffer], rows: int, cols: int) -> tuple[Fill, int]:
        """Check the sections and return the function that fills row blocks, and its rows a block."""
        return decoder(sections, rows, cols, signed=False)

    def regain(self, sections: Mapping[str, Buffer], rows: np.ndarray, columns: np.ndarray) -> dict[str, Buffer]:
        """Multiply the steps of rows and columns by gains; see `scalar.regain`."""
        return regain_scalar(sections, rows, columns, signed=False)
