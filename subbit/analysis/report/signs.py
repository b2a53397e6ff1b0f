"""What the signs of a stored tensor cost: counted where a file keeps them apart, else bounded from a sample."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from subbit.analysis.sign_entropy import sign_entropy
from subbit.bits.entropy import binary_entropy
from subbit.codecs import Signed, from_knobs
from subbit.errors import SubbitError
from subbit.model import Tensor
from subbit.records import matrix_shape
from subbit.signs import flips
from subbit.tensors import codec_of

__all__ = ["SIDE", "Signs", "Unmeasured", "measure_signs"]

SIDE = 160
"""Rows and columns of the block that is looked at: enough to see a template, and done in some milliseconds."""


@dataclass(frozen=True)
class Signs:
    """Of one tensor. `bits` is what its signs cost, per weight, at most its own bits.

    `plane` is the kind of sign plane, None where signs and magnitudes are coded together; `flips` the share of weights
    that differ from it. Of the sample: `zeros` and `negative` (among the others) are shares, `entropy` is Ĥ, bits a
    sign that is not zero.
    """

    bits: float
    plane: str | None
    flips: float | None
    flip_bits: float | None
    zeros: float
    negative: float
    entropy: float


@dataclass(frozen=True)
class Unmeasured:
    """Why nothing is known of a tensor's signs."""

    reason: str


def measure_signs(tensor: Tensor) -> Signs | Unmeasured:
    """Decode a block of rows of a coded matrix, and say what its signs cost.

    Raises :class:`SubbitError` for damage; a missing parent and an unknown codec are no damage.
    """
    try:
        return _measure(tensor)
    except SubbitError as error:
        if error.kind not in ("parent", "codec"):
            raise error.at(path=tensor.entry.path, tensor=tensor.entry.name) from None
        missing = "its parent checkpoint was not given" if error.kind == "parent" else "its codec is not known here"
        return Unmeasured(missing)


def _measure(tensor: Tensor) -> Signs | Unmeasured:
    codec = from_knobs(tensor.codec, tensor.entry.knobs)
    rows, cols = matrix_shape(tensor.shape)
    if not hasattr(codec, "filler") or rows * cols == 0:
        return Unmeasured("it is kept without loss")
    encoded = tensor.encoded
    bound: Any = codec_of(encoded, tensor.parent)
    filler = bound.filler(encoded)
    start = (-(-rows // filler.rows) // 2) * filler.rows
    step = filler.rows if filler.grain is None else -(-SIDE // filler.grain) * filler.grain
    block = np.empty((min(step, filler.rows, rows - start), cols), np.float32)
    filler.fill(start, start + len(block), block)
    left = max(0, (cols - SIDE) // 2)
    block = block[:SIDE, left : left + SIDE]
    seen = block != 0
    negative = np.signbit(block) & seen
    zeros = 1.0 - float(seen.mean())
    found = sign_entropy(negative, seen)
    share = int(np.count_nonzero(negative)) / max(int(np.count_nonzero(seen)), 1)
    entropy = min(1.0, found.bits)
    own = 8 * tensor.entry.stored_bytes / (rows * cols)
    if not isinstance(codec, Signed):
        return Signs(min(own, entropy * (1.0 - zeros)), None, None, None, zeros, share, entropy)
    sections = encoded.sections
    counted = 8 * sum(memoryview(sections[name]).nbytes for name in ("signs", "flips") if name in sections)
    rate = flips.count(sections.get("flips", b""), rows, cols) / (rows * cols)
    bits, floor = counted / (rows * cols), binary_entropy(rate)
    return Signs(bits, codec.signs.kind, rate, floor, zeros, share, entropy)
