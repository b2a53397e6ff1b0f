"""`trellis`: signed weights as walks along a bitshift trellis."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import ClassVar

import numpy as np

from subbit.codecs.base import ENCODER, stored_knobs
from subbit.codecs.blocks import Filler, decode_matrix, output_for
from subbit.codecs.knobs import check_knob
from subbit.codecs.sections import section_bytes
from subbit.codecs.trellis.reading import Reader
from subbit.codecs.trellis.rotation import rotate, rotate_back
from subbit.codecs.trellis.writing import budget_bits, encode_trellis
from subbit.errors import SubbitError
from subbit.records import Encoded, Shape, matrix_shape
from subbit_formats.dtypes import dtype_name

__all__ = ["Trellis", "check_trellis"]


@dataclass(frozen=True)
class Trellis:
    """Shift bits through a register; every weight is a hash of what stands in it.

    A weight may take any number of bits, also a fraction of one: the register then stays for several weights, each of
    which hashes it in another way. The bits are those of the walk with the least squared error (Viterbi). Rates follow
    row and column scales (`variable`), or are the same for all weights.

    `rotation`, a seed, mixes rows and columns before and after, so that everything becomes Gaussian. That helps against
    single outliers, not where `variable` can follow rows and columns; importance is not seen then, and decoding into
    another type than float32 takes a float32 copy. Never rotate weights with template signs.

    With `variable=False`, `group` neighbours of a row may take their bits together: decoding and products are faster.
    That costs next to nothing at two bits a group, and at four of one bit a weight 4 % of the error. What is fast is a
    whole number of bits a group, not more than one a weight.

    Costs at most `rate` bits a weight, scales included (with `variable=False` these take up to `rate` / 32 more). A
    Gaussian loses .268 of its energy at one bit, .520 at half a bit (Shannon: .250, .500). Encoding takes time ~
    2^state_bits. `state_bits` is 8 … 16; others raise :class:`SubbitError`, kind "knobs". Source: Tseng et al.,
    "QTIP: Quantization with Trellises and Incoherence Processing", arXiv 2406.11235, section 3.
    """

    rate: float = field(default=0.5, metadata=ENCODER)
    variable: bool = field(default=True, metadata=ENCODER)
    state_bits: int = 12
    rotation: int | None = None
    group: int = field(default=1, metadata=ENCODER)
    id: ClassVar[str] = "trellis"
    section_names: ClassVar[frozenset[str]] = frozenset({"codes"})

    def __post_init__(self) -> None:
        """Refuse knobs that mean nothing."""
        check_trellis(self.rate, self.variable, self.state_bits, self.group)
        if self.rotation is not None:
            check_knob("rotation", self.rotation, 0, 2**64 - 1)

    def bits(self, shape: Shape) -> int:
        """The budget, or the few bytes that even zeros need."""
        return budget_bits(self.rate, self.variable, *matrix_shape(shape), self.group)

    def encode(self, weight: np.ndarray, importance: np.ndarray | None = None) -> Encoded:
        """Find the best walks; `importance` weighs their errors and, where rates vary, moves bits to what matters."""
        rows, cols = matrix_shape(weight.shape)
        matrix = np.ascontiguousarray(weight.reshape(rows, cols), dtype=np.float32)
        if self.rotation is not None:
            matrix, importance = matrix.copy(), None
            rotate(matrix, self.rotation)
        codes = encode_trellis(matrix, self.rate, self.state_bits, self.variable, importance, True, self.group)
        return Encoded(self.id, stored_knobs(self), weight.shape, dtype_name(weight.dtype), {"codes": codes})

    def decode(self, encoded: Encoded, out: np.ndarray | None = None) -> np.ndarray:
        """Follow the walks: state → value × scale; then undo the rotation, if there was one."""
        rows, cols = matrix_shape(tuple(encoded.shape))
        filler = self.filler(encoded)
        if self.rotation is None:
            return decode_matrix(encoded, out, filler)
        target = output_for(encoded, out)
        whole = target if target.dtype == np.float32 else np.empty(encoded.shape, np.float32)
        matrix = decode_matrix(encoded, whole, filler).reshape(rows, cols)
        rotate_back(matrix, self.rotation)
        if target is not whole:
            with np.errstate(over="ignore"):
                target[...] = whole
        return target

    def filler(self, encoded: Encoded) -> Filler:
        """Rows as they were coded, which is before a rotation is undone."""
        return self.reader(encoded).filler

    def reader(self, encoded: Encoded) -> Reader:
        """The checked section; raises :class:`SubbitError` (kind "section") for a damaged one."""
        stored = section_bytes(encoded.sections, "codes")
        return Reader.of(stored, *matrix_shape(tuple(encoded.shape)), self.state_bits, signed=True)


def check_trellis(rate: float, variable: bool, state_bits: int, group: int) -> None:
    """Raise :class:`SubbitError` (kind "knobs") for knobs out of range."""
    if isinstance(rate, bool) or not 0 < rate <= 8:
        raise SubbitError(f"{rate} bits a weight is not within 0 … 8", kind="knobs")
    if type(variable) is not bool:
        raise SubbitError(f"variable is {variable!r}, not true or false", kind="knobs")
    check_knob("state_bits", state_bits, 8, 16)
    check_knob("group", group, 1, 8)
    if group & (group - 1) or (group > 1 and variable) or rate * group > 8:
        text = (
            f"groups of {group} weights: 1, 2, 4 or 8 share at most 8 bits, and those more than 1 with variable=False"
        )
        raise SubbitError(text, kind="knobs")
