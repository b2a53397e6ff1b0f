"""Build `.sbit` files by hand, right in every checksum and wrong in whatever is asked for.

Independent of the library's writer: SPEC.md alone, so that both are checked against each other.
"""

from __future__ import annotations

import json
import struct
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import xxhash

__all__ = ["canonical", "forge", "forged", "plain_index", "plain_sections", "take_apart", "xxh"]


def xxh(data: bytes) -> bytes:
    """XXH3-128 in canonical form."""
    return xxhash.xxh3_128(data).digest()


def canonical(value: Any) -> bytes:
    """Canonical JSON, but for how some numbers are spelled."""
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
    """What `plain_index` describes."""
    return [b"abcdefghijkl", b"codes", b"", b"s", b"{}"]


def forged(
    index: Any | None = None,
    sections: Sequence[bytes] | None = None,
    *,
    header: Mapping[str, Any] | None = None,
    digests: Sequence[bytes] | None = None,
    padding: bytes = b"\0",
    tail: bytes = b"",
) -> bytes:
    """A file; `index` may be JSON bytes, `header` overrides fields before the checksum is made."""
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
    } | dict(header or {})
    head = struct.pack("<8sHHIQQQQ16s16s32s", *fields.values())
    return head + xxh(head) + body + raw + table + tail


def forge(path: Path, *args: Any, **keywords: Any) -> Path:
    """Write what `forged` makes of the further arguments."""
    path.write_bytes(forged(*args, **keywords))
    return path


def take_apart(data: bytes) -> tuple[dict[str, Any], list[bytes]]:
    """The index of a good file and its sections: what `forged` makes the same file of."""
    offset, size = struct.unpack_from("<QQ", data, 24)
    index = json.loads(data[offset : offset + size])
    owners = [size for tensor in index.get("tensors", []) for _, size in tensor["sections"]]
    owners += [extra["size"] for extra in index.get("extras", [])]
    sections, end = [], 128
    for size in owners:
        start = end if not size else -(-end // (64 if size >= 4096 else 8)) * (64 if size >= 4096 else 8)
        end = start + size
        sections.append(data[start:end])
    return index, sections
