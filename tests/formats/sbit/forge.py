"""Build `.sbit` files by hand, right in every checksum and wrong in whatever a test asks for.

Independent of the library's writer: SPEC.md alone, so that both are checked against each other.
"""

from __future__ import annotations

import json
import struct
from pathlib import Path
from typing import Any

import xxhash


def xxh(data: bytes) -> bytes:
    return xxhash.xxh3_128(data).digest()


def canonical(value: Any) -> bytes:
    return json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False).encode()


def plain_index() -> dict[str, Any]:
    """Two tensors, two codecs, an alias, an optional extra; the sections are `plain_sections`."""
    return {
        "aliases": {"tied": "b"},
        "codecs": [{"id": "dense"}, {"id": "signs", "knobs": {"bits": 0.5, "seed": 7}}],
        "extras": [{"name": "config.json", "size": 2}],
        "metadata": {"made": "by hand"},
        "tensors": [
            {
                "codec": 0,
                "covered": False,
                "dtype": "float32",
                "name": "a",
                "sections": [["raw", 12]],
                "shape": [3],
            },
            {
                "codec": 1,
                "dtype": "bfloat16",
                "name": "b",
                "sections": [["codes", 5], ["none", 0], ["scales", 1]],
                "shape": [2, 4],
            },
        ],
    }


def plain_sections() -> list[bytes]:
    return [b"abcdefghijkl", b"codes", b"", b"s", b"{}"]


def forge(
    path: Path,
    index: Any | None = None,
    sections: list[bytes] | None = None,
    *,
    header: dict[str, Any] | None = None,
    digests: list[bytes] | None = None,
    padding: bytes = b"\0",
    tail: bytes = b"",
) -> Path:
    """Write a file; `index` may be JSON bytes, `header` overrides fields before the checksum is made."""
    sections = plain_sections() if sections is None else sections
    raw = index if isinstance(index, bytes) else canonical(plain_index() if index is None else index)
    body = b""
    for section in sections:
        if section:
            step = 64 if len(section) >= 4096 else 8
            body += padding * (-(128 + len(body)) % step) + section
    body += padding * (-(128 + len(body)) % 8)
    table = b"".join(map(xxh, sections) if digests is None else digests)
    fields = {
        "magic": b"\x89SBT\r\n\x1a\n",
        "major": 1,
        "minor": 0,
        "reserved": 0,
        "size": 128 + len(body) + len(raw) + len(table),
        "offset": 128 + len(body),
        "index_size": len(raw),
        "count": len(sections) if digests is None else len(digests),
        "index_hash": xxh(raw + table),
        "body_hash": xxh(body + raw + table),
        "zeros": bytes(32),
    } | (header or {})
    head = struct.pack("<8sHHIQQQQ16s16s32s", *fields.values())
    path.write_bytes(head + xxh(head) + body + raw + table + tail)
    return path
