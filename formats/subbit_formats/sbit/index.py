"""The index: what the sections of a file mean, as canonical JSON; and where they lie, which follows from it.

Canonical: keys sorted, no white space, keys with their default value left out, one way to write
each number and string (SPEC.md), so that equal contents are equal bytes. `validate` re-encodes and
compares, which also catches duplicate keys and everything else that JSON parsers let through.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import msgspec
from msgspec import Struct, field

from subbit_formats.sbit.header import HEADER_BYTES
from subbit_formats.sbit.limits import LARGE_ALIGNMENT, LARGE_SECTION, SMALL_ALIGNMENT

__all__ = ["CodecRecord", "ExtraRecord", "Index", "TensorRecord", "aligned", "encode", "place"]


class CodecRecord(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, omit_defaults=True):
    """A codec id with its knobs; tensors refer to it by its number in the table."""

    id: str
    knobs: dict[str, Any] = field(default_factory=dict)


class ExtraRecord(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, omit_defaults=True):
    """A file-level section; with `raw_size` it is one zstd frame that decompresses to so many bytes."""

    name: str
    raw_size: int | None = None
    required: bool = False
    size: int


class TensorRecord(Struct, frozen=True, kw_only=True, gc=False, forbid_unknown_fields=True, omit_defaults=True):
    """One tensor; `sections` are (name, stored bytes) in file order."""

    codec: int
    covered: bool = True
    dtype: str
    name: str
    sections: tuple[tuple[str, int], ...]
    shape: tuple[int, ...]


class Index(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, omit_defaults=True):
    """All that a file says about itself besides its header."""

    aliases: dict[str, str] = field(default_factory=dict)
    codecs: tuple[CodecRecord, ...] = ()
    extras: tuple[ExtraRecord, ...] = ()
    metadata: dict[str, str] = field(default_factory=dict)
    tensors: tuple[TensorRecord, ...] = ()

    def section_sizes(self) -> Iterable[int]:
        """The sizes of all sections in file order: the tensors' in turn, then the extras'."""
        for tensor in self.tensors:
            for _, size in tensor.sections:
                yield size
        for extra in self.extras:
            yield extra.size


_encoder = msgspec.json.Encoder(order="sorted")


def encode(value: Any) -> bytes:
    """Canonical JSON of a record or of plain values."""
    return _encoder.encode(value)


def aligned(position: int, size: int) -> int:
    """Where a section of this size starts when the bytes before it end at `position`."""
    if size == 0:
        return position
    alignment = LARGE_ALIGNMENT if size >= LARGE_SECTION else SMALL_ALIGNMENT
    return -(-position // alignment) * alignment


def place(sizes: Iterable[int]) -> list[tuple[int, int]]:
    """The (start, end) of each section in the file; the sizes alone decide them."""
    spans = []
    end = HEADER_BYTES
    for size in sizes:
        start = aligned(end, size)
        end = start + size
        spans.append((start, end))
    return spans
