"""The one validator: whatever opens passed all of it, and whatever is written passes it first.

`validate` looks at the header, the index and the digest table only; `check_padding`,
`check_digest` and `decompress` are the rules for the sections, applied when they are read.
"""

from __future__ import annotations

import math
from collections.abc import Collection
from dataclasses import dataclass
from itertools import pairwise
from typing import TypeVar

import msgspec

from subbit_formats.dtypes import ITEM_SIZES
from subbit_formats.errors import SubbitError
from subbit_formats.sbit.header import DIGEST_BYTES, HEADER_BYTES, MAGIC, VERSION, Header, digest
from subbit_formats.sbit.index import ExtraRecord, Index, TensorRecord, aligned, encode, place
from subbit_formats.sbit.knobs import check_knobs, is_text
from subbit_formats.sbit.limits import (
    MAX_DIMENSIONS,
    MAX_EXTRA_BYTES,
    MAX_EXTRAS,
    MAX_INDEX_BYTES,
    MAX_NAME_BYTES,
    MAX_SECTION_BYTES,
    MAX_SECTIONS,
    MAX_TENSORS,
    MAX_WEIGHTS,
    SMALL_ALIGNMENT,
)
from subbit_formats.sbit.rules import broken

__all__ = [
    "Contents",
    "canonical",
    "check_digest",
    "check_extra",
    "check_index",
    "check_name",
    "check_padding",
    "check_tensor",
    "decompress",
    "validate",
]

_Json = TypeVar("_Json")
_CONVERTED = (  # what line-end, 7-bit and character conversions make of the magic
    b"\x89SBT\n\x1a\n",
    b"\x89SBT\r\r\n\x1a",
    b"\x89SBT\r\n\x1a\r",
    b"\x89SBT\r\x1a\r",
    b"\x89SBT\r\r\x1a\r",
    b"\x89SBT\n\n\x1a\n",
    b"\x09SBT",
    b"\xc2\x89SBT",
    b"\xef\xbf\xbdSBT",
    b"?SBT",
)


@dataclass(frozen=True)
class Contents:
    """A validated file: its header, its index, each section's (start, end), and the digest table."""

    header: Header
    index: Index
    spans: list[tuple[int, int]]
    digests: bytes


def validate(file: memoryview, understood: Collection[str] = ()) -> Contents:
    """Read header, index and digest table of a whole file and raise the first rule they break.

    `understood` names the required extras that the caller knows how to use. No section is read.
    """
    header = _check_header(file)
    table_offset = header.index_offset + header.index_size
    if digest(file[header.index_offset :]) != header.index_hash:
        message = "the index does not match its checksum"
        raise broken("index-checksum", message, offset=header.index_offset)
    try:
        index = canonical(file[header.index_offset : table_offset], Index)
        check_index(index, understood)
    except SubbitError as error:
        error.at(offset=header.index_offset)
        raise
    spans = _check_layout(header, index)
    check_padding(file, spans[-1][1] if spans else HEADER_BYTES, header.index_offset)
    return Contents(header, index, spans, bytes(file[table_offset:]))


def _check_header(file: memoryview) -> Header:
    head, size = bytes(file[:HEADER_BYTES]), len(file)
    if head[: len(MAGIC)] != MAGIC[: len(head)]:
        if head.startswith(_CONVERTED):
            raise broken("text-mode", "the file went through a text conversion", offset=0)
        raise broken("not-sbit", "not a .sbit file", offset=0)
    if size < HEADER_BYTES:
        message = f"ends inside its header, after {size} bytes" if size else "the file is empty"
        raise broken("truncated", message, offset=size)
    if digest(head[:-DIGEST_BYTES]) != head[-DIGEST_BYTES:]:
        raise broken("header", "the header does not match its checksum", offset=0)
    header = Header.unpack(head)
    if header.major > VERSION[0]:
        message = f"format version {header.major}.{header.minor} is newer than this reader ({VERSION[0]}.x)"
        raise broken("newer-version", message, offset=8)
    if header.major < 1:
        raise broken("version", f"format version {header.major}.{header.minor} does not exist", offset=8)
    if header.reserved or any(header.reserved_tail):
        offset = 12 if header.reserved else 80
        raise broken("reserved", "reserved bytes of the header are not zero", offset=offset)
    if size < header.file_size:
        raise broken("truncated", f"ends after {size} of {header.file_size} bytes", offset=size)
    if size > header.file_size:
        message = f"{size - header.file_size} bytes follow the end of the file"
        raise broken("trailing", message, offset=header.file_size)
    if header.index_size > MAX_INDEX_BYTES:
        raise broken("index-size", f"an index of {header.index_size} bytes is too large", offset=32)
    end = header.index_offset + header.index_size + DIGEST_BYTES * header.digest_count
    if header.index_offset < HEADER_BYTES or header.index_offset % SMALL_ALIGNMENT or end != header.file_size:
        raise broken("index-place", "index and digest table do not fill the end of the file", offset=24)
    return header


def canonical(
    raw: bytes | memoryview, kind: type[_Json], rules: tuple[str, str] = ("index-json", "index-canonical")
) -> _Json:
    """Decode canonical JSON into a record type; the rules are those for what is no JSON or not canonical."""
    try:
        value = msgspec.json.decode(raw, type=kind)
    except (ValueError, RecursionError) as error:  # msgspec's errors and bad UTF-8 are ValueErrors
        raise broken(rules[0], f"the index cannot be parsed: {error}") from error
    if encode(value) != raw:
        raise broken(rules[1], "the index is not in canonical form")
    return value


def check_index(index: Index, understood: Collection[str] = ()) -> None:
    """Every rule about the contents of the index, tensors first."""
    if len(index.tensors) > MAX_TENSORS:
        raise broken("tensor-count", f"{len(index.tensors)} tensors are too many")
    for tensor in index.tensors:
        check_tensor(tensor)
    _check_order("tensor-order", [tensor.name for tensor in index.tensors])
    weights = sum(math.prod(size or 1 for size in tensor.shape) for tensor in index.tensors)
    if weights > MAX_WEIGHTS:
        raise broken("weights", f"{_brief(weights)} weights are too many for one file")
    _check_codecs(index)
    names = {tensor.name for tensor in index.tensors}
    for alias, target in index.aliases.items():
        check_name(alias, "an alias")
        if alias in names:
            raise broken("alias-name", "an alias has the name of a tensor", tensor=alias)
        if target not in names:
            raise broken("alias-target", f"stands for {target[:80]!r}, which is not in this file", tensor=alias)
    if len(index.extras) > MAX_EXTRAS:
        raise broken("extra-count", f"{len(index.extras)} extras are too many")
    for extra in index.extras:
        check_extra(extra, understood)
    _check_order("extra-order", [extra.name for extra in index.extras])


def check_name(name: str, what: str) -> None:
    """The rule for every name: 1 to 1024 bytes of UTF-8 without NUL."""
    if not is_text(name) or not 0 < len(name.encode()) <= MAX_NAME_BYTES or "\0" in name:
        raise broken("name", f"{what} cannot be named {name[:40]!r}")


def _brief(value: object) -> str:
    text = str(list(value) if isinstance(value, tuple) else value)
    return text if len(text) <= 80 else f"{text[:80]}…"


def _check_order(rule: str, names: list[str]) -> None:
    for before, after in pairwise(names):  # code points sort as their UTF-8 bytes do
        if before >= after:
            raise broken(rule, f"{after!r} must not follow {before!r}")


def check_tensor(tensor: TensorRecord) -> None:
    """The rules about one tensor by itself."""
    check_name(tensor.name, "a tensor")
    if tensor.dtype not in ITEM_SIZES:
        raise broken("dtype", f"unknown element type {tensor.dtype[:40]!r}", tensor=tensor.name)
    if len(tensor.shape) > MAX_DIMENSIONS or min(tensor.shape, default=0) < 0:
        raise broken("shape", f"impossible shape {_brief(tensor.shape)}", tensor=tensor.name)
    if math.prod(size or 1 for size in tensor.shape) > MAX_WEIGHTS:
        raise broken("weights", f"shape {_brief(tensor.shape)} is too large", tensor=tensor.name)
    if len(tensor.sections) > MAX_SECTIONS:
        raise broken("section-count", f"{len(tensor.sections)} sections are too many", tensor=tensor.name)
    if len({name for name, _ in tensor.sections}) != len(tensor.sections):
        raise broken("section-name", "two sections have one name", tensor=tensor.name)
    for name, size in tensor.sections:
        check_name(name, "a section")
        _check_size(size, tensor.name)


def _check_size(size: int, owner: str) -> None:
    if not 0 <= size <= MAX_SECTION_BYTES:
        raise broken("section-size", f"impossible section size {_brief(size)}", tensor=owner)


def _check_codecs(index: Index) -> None:
    for codec in index.codecs:
        check_name(codec.id, "a codec")
        check_knobs(codec)
    if len({encode(codec) for codec in index.codecs}) != len(index.codecs):
        raise broken("codec-table", "an entry of the codec table stands there twice")
    used = 0
    for tensor in index.tensors:
        if not 0 <= tensor.codec < len(index.codecs):
            raise broken("codec-number", f"there is no codec number {_brief(tensor.codec)}", tensor=tensor.name)
        if tensor.codec > used:
            raise broken("codec-table", "the codec table is not in order of first use", tensor=tensor.name)
        used = max(used, tensor.codec + 1)
    if used != len(index.codecs):
        raise broken("codec-table", "an entry of the codec table is used by no tensor")


def check_extra(extra: ExtraRecord, understood: Collection[str] = ()) -> None:
    """The rules about one extra by itself; unknown ones are fine unless they are required."""
    check_name(extra.name, "an extra")
    _check_size(extra.size, extra.name)
    raw_size = extra.size if extra.raw_size is None else extra.raw_size
    if not 0 <= raw_size <= MAX_EXTRA_BYTES:
        raise broken("extra-size", f"the extra {extra.name!r} cannot have {_brief(raw_size)} bytes")
    if extra.required and extra.name not in understood:
        raise broken("extra-required", f"needs {extra.name!r}, which this reader does not understand")


def _check_layout(header: Header, index: Index) -> list[tuple[int, int]]:
    spans = place(index.section_sizes())
    if len(spans) != header.digest_count:
        raise broken("digest-count", f"{header.digest_count} digests for {len(spans)} sections", offset=40)
    end = spans[-1][1] if spans else HEADER_BYTES
    if aligned(end, 1) != header.index_offset:
        message = f"the sections end at byte {end}, but the index starts at {header.index_offset}"
        raise broken("layout", message, offset=24)
    return spans


def check_padding(file: memoryview, start: int, end: int) -> None:
    """The bytes of [start, end) are zero."""
    for offset, byte in enumerate(file[start:end], start):
        if byte:
            raise broken("padding", "padding is not zero", offset=offset)


def check_digest(actual: bytes, digests: bytes, number: int, what: str, offset: int) -> None:
    """The hash of a section is the one that the digest table has at its number."""
    if actual != digests[number * DIGEST_BYTES : (number + 1) * DIGEST_BYTES]:
        raise broken("checksum", f"{what} does not match its checksum", offset=offset)


def decompress(extra: ExtraRecord, stored: memoryview) -> bytes:
    """The content of an extra; its frame must state the right size before a byte is decompressed."""
    if extra.raw_size is None:
        return bytes(stored)
    import zstandard

    try:
        if zstandard.frame_content_size(stored) != extra.raw_size:
            raise broken("extra-frame", f"the extra {extra.name!r} does not have the stated size")
        content = zstandard.ZstdDecompressor().decompress(stored, allow_extra_data=False)
    except zstandard.ZstdError as error:
        raise broken("extra-frame", f"the extra {extra.name!r} cannot be decompressed: {error}") from error
    if len(content) != extra.raw_size:
        raise broken("extra-frame", f"the extra {extra.name!r} does not have the stated size")
    return bytes(content)
