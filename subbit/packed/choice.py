"""Which way of multiplying a stored tensor gets."""

from __future__ import annotations

from dataclasses import replace
from functools import partial

from subbit.codecs import Factors, Signed, Trellis, Vector, from_knobs, relative_part
from subbit.codecs.factors.layout import Head
from subbit.errors import UsageError
from subbit.packed.base import Packed
from subbit.packed.blocks import Blocks
from subbit.packed.latents import Latents
from subbit.packed.lines import DIM, Lines
from subbit.packed.turning import Turning
from subbit.packed.walks import Walks
from subbit.records import Encoded, matrix_shape

__all__ = ["pack"]

_MOST_ENTRIES = 256


def pack(encoded: Encoded) -> Packed:
    """Make a tensor ready to be multiplied by, as the matrix of `records.matrix_shape`.

    Sections are checked, and read from where they are: they stay mapped as long as the result lives. Raises
    :class:`SubbitError` for damaged ones and :class:`UsageError` (kind "packed") for a codec that does not decode rows
    by themselves, or needs a parent checkpoint.
    """
    codec = from_knobs(encoded.codec, encoded.knobs)
    rows, cols = matrix_shape(tuple(encoded.shape))
    filler = getattr(codec, "filler", None)
    together = getattr(codec, "rotation", None) is not None or relative_part(codec) is not None
    if filler is None or together or not rows * cols:
        hint = "decode it; rotated and lossless tensors are whole or not at all, and a fine-tune needs its parent"
        raise UsageError(f"{encoded.codec!r} weights cannot stay packed", kind="packed", hint=hint)
    blocks = Blocks(rows, cols, partial(filler, encoded), encoded.bits // 8)
    if isinstance(codec, Signed) and isinstance(codec.magnitudes, Vector):
        dim, entries, _ = codec.magnitudes.in_use(rows, cols)
        plane, flipped, sections = codec.parts(encoded)
        if entries <= _MOST_ENTRIES and hasattr(codec.signs, "angles") and not flipped:
            return Turning.of(codec.signs, plane, codec.magnitudes, sections, blocks)
        if entries <= _MOST_ENTRIES and dim == DIM:
            return Lines.of(codec.signs, plane, flipped, codec.magnitudes, sections, blocks)
    if isinstance(codec, Trellis) and (even := (reader := codec.reader(encoded)).even):
        return Walks.of(reader, even, replace(blocks, make=lambda: reader.filler))
    if isinstance(codec, Factors):
        head = Head.from_sections(encoded.sections, rows, cols)
        if not head.residual:
            return Latents.of(head, blocks)
    _ = blocks.filler  # checks the sections
    return blocks
