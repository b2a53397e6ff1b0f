"""The 128 bytes that every `.sbit` file starts with.

Bump rule, for ever: the magic (bytes 0–7), the version (8–11) and the header's checksum (112–127)
keep their place and meaning in every version, so that any reader can tell "newer" from "damaged".
A greater major version is refused. A greater minor version is read: a minor version may only add
codec ids and extras; extras that an older reader must not skip are marked required, and it refuses
those by name. Everything else — header fields, index keys, alignment, limits — needs a new major.
"""

from __future__ import annotations

import struct
from typing import NamedTuple

import xxhash

__all__ = ["DIGEST_BYTES", "HEADER_BYTES", "MAGIC", "VERSION", "Header", "digest"]

MAGIC = b"\x89SBT\r\n\x1a\n"
VERSION = (1, 0)
HEADER_BYTES = 128
DIGEST_BYTES = 16
_LAYOUT = struct.Struct("<8sHHIQQQQ16s16s32s16s")


def digest(data: bytes | memoryview) -> bytes:
    """The XXH3-128 (seed 0) of the bytes, in canonical form: 16 bytes, most significant first."""
    return xxhash.xxh3_128_digest(data)


class Header(NamedTuple):
    """The fields of the header, in file order, without the magic and the header's own checksum."""

    major: int
    minor: int
    reserved: int
    file_size: int
    index_offset: int
    index_size: int
    digest_count: int
    index_hash: bytes
    body_hash: bytes
    reserved_tail: bytes

    @classmethod
    def unpack(cls, data: bytes) -> Header:
        """Split 128 bytes into fields; judges nothing (`validate` does)."""
        return cls(*_LAYOUT.unpack(data)[1:-1])

    def pack(self) -> bytes:
        """The 128 bytes, checksum included."""
        head = _LAYOUT.pack(MAGIC, *self, bytes(DIGEST_BYTES))[:-DIGEST_BYTES]
        return head + digest(head)
