"""|W| as walks along a bitshift trellis whose values are spread like half a Gaussian."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import ClassVar

import numpy as np

from subbit.codecs.base import ENCODER
from subbit.codecs.magnitudes.base import Fill
from subbit.codecs.sections import section_bytes
from subbit.codecs.trellis.codec import check_trellis
from subbit.codecs.trellis.reading import Reader
from subbit.codecs.trellis.writing import budget_bits, encode_trellis
from subbit.records import Buffer

__all__ = ["TrellisMagnitudes"]


@dataclass(frozen=True)
class TrellisMagnitudes:
    """The code of :class:`~subbit.Trellis` for weights whose signs come from elsewhere; knobs and costs are the same.

    Each magnitude is a centre, which follows row and column scales, plus the value of a state. At half a bit Gaussian
    weights lose .167 of their energy (Shannon's bound is .154).
    """

    rate: float = field(default=0.5, metadata=ENCODER)
    variable: bool = field(default=True, metadata=ENCODER)
    state_bits: int = 12
    group: int = field(default=1, metadata=ENCODER)
    kind: ClassVar[str] = "trellis"
    section_names: ClassVar[frozenset[str]] = frozenset({"codes"})

    def __post_init__(self) -> None:
        """Refuse knobs that mean nothing."""
        check_trellis(self.rate, self.variable, self.state_bits, self.group)

    def bits(self, rows: int, cols: int) -> int:
        """The budget, or the few bytes that even zeros need."""
        return budget_bits(self.rate, self.variable, rows, cols, self.group)

    def encode(self, magnitudes: np.ndarray, importance: np.ndarray | None = None) -> dict[str, bytes]:
        """Find the best walks for a finite, non-negative float32 matrix."""
        matrix = np.ascontiguousarray(magnitudes, dtype=np.float32)
        codes = encode_trellis(matrix, self.rate, self.state_bits, self.variable, importance, False, self.group)
        return {"codes": codes}

    def decoder(self, sections: Mapping[str, Buffer], rows: int, cols: int) -> tuple[Fill, int]:
        """Check the section and return the function that fills row blocks, and its rows a block."""
        reader = Reader.of(section_bytes(sections, "codes"), rows, cols, self.state_bits, signed=False)
        return reader.fill, reader.block_rows
