"""One forged file for each rule of the container: right in every checksum, wrong in one thing."""

from __future__ import annotations

import copy
import json
from typing import Any

from formats.bad.forge import canonical, forged, plain_index, plain_sections, xxh
from formats.bad.frames import frame, repeated

__all__ = ["CASES", "index_with", "with_extra"]

GOOD = forged()


def index_with(path: str, value: Any) -> dict[str, Any]:
    """The plain index with one value replaced; `path` as "tensors.1.name"."""
    index = copy.deepcopy(plain_index())
    *keys, last = [int(key) if key.isdigit() else key for key in path.split(".")]
    place: Any = index
    for key in keys:
        place = place[key]
    place[last] = value
    return index


def with_extra(content: bytes, raw_size: int | None, **keys: Any) -> bytes:
    """The plain file with other content of its extra."""
    record = {"name": "config.json", "size": len(content), **keys}
    if raw_size is not None:
        record["raw_size"] = raw_size
    return forged(index_with("extras.0", record), [*plain_sections()[:-1], content])


def _index(path: str, value: Any) -> bytes:
    return forged(index_with(path, value))


def _header(**fields: Any) -> bytes:
    return forged(header=fields)


def _text(old: bytes, new: bytes) -> bytes:
    return forged(canonical(plain_index()).replace(old, new))


def _changed(old: bytes, new: bytes) -> bytes:
    return GOOD.replace(old, new, 1)


def _nested(value: Any, depth: int) -> Any:
    return [_nested(value, depth - 1)] if depth else value


_FRAME = frame(b"{}")
_DIGESTS = [xxh(section) for section in plain_sections()]

CASES: dict[str, tuple[str, bytes]] = {
    "empty": ("truncated", b""),
    "seven-bytes": ("truncated", GOOD[:7]),
    "127-bytes": ("truncated", GOOD[:127]),
    "last-byte-missing": ("truncated", GOOD[:-1]),
    "zip": ("not-sbit", b"PK\3\4" * 100),
    "safetensors": ("not-sbit", b"\x40\0\0\0\0\0\0\0{}"),
    "crlf-to-lf": ("text-mode", GOOD.replace(b"\r\n", b"\n")),
    "lf-to-crlf": ("text-mode", GOOD.replace(b"\n", b"\r\n")),
    "lf-to-cr": ("text-mode", GOOD.replace(b"\n", b"\r")),
    "7-bit": ("text-mode", bytes(byte & 127 for byte in GOOD)),
    "latin-1-to-utf-8": ("text-mode", GOOD.decode("latin-1").encode()),
    "replaced-characters": ("text-mode", GOOD.decode(errors="replace").encode()),
    "header-changed": ("header", _changed(b"\x01\0\0\0\0\0\0\0", b"\x01\0\1\0\0\0\0\0")),
    "major-2": ("newer-version", _header(major=2)),
    "major-2-all-else-new": ("newer-version", _header(major=2, reserved=1, size=5, offset=9, zeros=b"\1" * 32)),
    "major-0": ("version", _header(major=0)),
    "reserved": ("reserved", _header(reserved=1)),
    "reserved-tail": ("reserved", _header(zeros=bytes(31) + b"\1")),
    "size-less": ("trailing", _header(size=300)),
    "size-more": ("truncated", _header(size=30000)),
    "appended-byte": ("trailing", forged(tail=b"\0")),
    "appended-file": ("trailing", forged(tail=GOOD)),
    "index-too-large": ("index-size", _header(index_size=2**24 + 1)),
    "index-size-2-64": ("index-size", _header(index_size=2**64 - 1)),
    "index-outside": ("index-place", _header(offset=2**60)),
    "index-in-header": ("index-place", _header(offset=0)),
    "index-unaligned": ("index-place", _header(offset=161)),
    "index-overlaps-sections": ("index-place", _header(offset=152)),
    "digests-outside": ("index-place", _header(count=2**64 - 1)),
    "index-hash": ("index-checksum", _header(index_hash=bytes(16))),
    "no-json": ("index-json", forged(b"\xff\xfe")),
    "empty-json": ("index-json", forged(b"")),
    "nested-json": ("index-json", forged(b'{"codecs":' + b"[" * 10**4)),
    "array": ("index-json", forged([])),
    "unknown-key": ("index-json", _index("more", 1)),
    "unknown-tensor-key": ("index-json", _index("tensors.0.more", 1)),
    "offset-key": ("index-json", _index("tensors.0.offset", 128)),
    "float-size": ("index-json", _index("tensors.0.shape", [3.0])),
    "text-size": ("index-json", _index("tensors.0.shape", ["3"])),
    "missing-key": ("index-json", _index("tensors.0", {"name": "a"})),
    "nan": ("index-json", _text(b"0.5", b"NaN")),
    "half-a-surrogate": ("index-json", _text(b"by hand", b"\\ud800")),
    "white-space": ("index-canonical", forged(json.dumps(plain_index(), sort_keys=True).encode())),
    "key-order": ("index-canonical", _text(b'"bits":0.5,"seed":7', b'"seed":7,"bits":0.5')),
    "key-twice": ("index-canonical", _text(b'"seed":7', b'"seed":6,"seed":7')),
    "name-key-twice": ("index-canonical", _text(b'"name":"a"', b'"name":"x","name":"a"')),
    "number-spelling": ("index-canonical", _text(b"0.5", b"5e-1")),
    "string-spelling": ("index-canonical", _text(b"by hand", b"by\\u0020hand")),
    "default-spelled-out": ("index-canonical", _text(b'"dtype":"bfloat16"', b'"covered":true,"dtype":"bfloat16"')),
    "empty-key": ("index-canonical", _text(b'"aliases":{"tied":"b"}', b'"aliases":{}')),
    "end-of-line": ("index-canonical", forged(canonical(plain_index()) + b"\n")),
    "no-name": ("name", _index("tensors.0.name", "")),
    "nul-in-name": ("name", _index("tensors.0.name", "\0")),
    "long-name": ("name", _index("tensors.1.name", "é" * 513)),
    "codec-without-name": ("name", _index("codecs.0.id", "")),
    "section-without-name": ("name", _index("tensors.0.sections", [["", 12]])),
    "extra-without-name": ("name", _index("extras.0.name", "")),
    "alias-without-name": ("name", _index("aliases", {"": "b"})),
    "tensors-unsorted": ("tensor-order", _index("tensors.0.name", "c")),
    "tensor-twice": ("tensor-order", _index("tensors.0.name", "b")),
    "dtype": ("dtype", _index("tensors.0.dtype", "f32")),
    "nine-dimensions": ("shape", _index("tensors.0.shape", [1] * 9)),
    "negative-dimension": ("shape", _index("tensors.0.shape", [-3])),
    "too-many-weights": ("weights", _index("tensors.0.shape", [2**24, 2**24])),
    "zero-times-overflow": ("weights", _index("tensors.0.shape", [0, 2**40, 2**40])),
    "dimension-beyond-64-bits": ("weights", _index("tensors.0.shape", [2**70])),
    "too-many-weights-in-all": ("weights", _index("tensors.0.shape", [2**48 - 1])),
    "17-sections": ("section-count", _index("tensors.0.sections", [[f"{k:02}", 0] for k in range(17)])),
    "section-twice": ("section-name", _index("tensors.0.sections", [["raw", 12], ["raw", 0]])),
    "negative-section": ("section-size", _index("tensors.0.sections", [["raw", -1]])),
    "huge-section": ("section-size", _index("tensors.0.sections", [["raw", 2**63]])),
    "huge-extra": ("section-size", _index("extras.0.size", 2**63)),
    "deep-knobs": ("knobs", _index("codecs.1.knobs", {"a": _nested(1, 8)})),
    "large-knob": ("knobs", _index("codecs.1.knobs", {"a": 2**64})),
    "codec-number": ("codec-number", _index("tensors.1.codec", 2)),
    "negative-codec-number": ("codec-number", _index("tensors.1.codec", -1)),
    "codec-twice": ("codec-table", _index("codecs.1", {"id": "dense"})),
    "codec-unused": ("codec-table", _index("tensors.1.codec", 0)),
    "codec-order": ("codec-table", _index("tensors.0.codec", 1)),
    "alias-is-a-tensor": ("alias-name", _index("aliases", {"a": "b"})),
    "alias-of-nothing": ("alias-target", _index("aliases", {"tied": "c"})),
    "alias-of-an-alias": ("alias-target", _index("aliases", {"tied": "b", "x": "tied"})),
    "extras-unsorted": ("extra-order", _index("extras", [{"name": "x", "size": 2}, {"name": "a", "size": 0}])),
    "extra-twice": ("extra-order", _index("extras", [{"name": "x", "size": 2}, {"name": "x", "size": 0}])),
    "extra-too-large": ("extra-size", with_extra(_FRAME, 2**30 + 1)),
    "plain-extra-too-large": ("extra-size", _index("extras.0.size", 2**30 + 1)),
    "negative-extra": ("extra-size", with_extra(_FRAME, -1)),
    "extra-required": ("extra-required", with_extra(b"{}", None, required=True)),
    "digest-missing": ("digest-count", forged(digests=_DIGESTS[:-1])),
    "sections-overlap-the-index": ("layout", _index("tensors.0.sections", [["raw", 20]])),
    "hole-before-the-index": ("layout", _index("tensors.0.sections", [["raw", 1]])),
    "section-outside": ("layout", _index("tensors.0.sections", [["raw", 2**62]])),
    "padding": ("padding", forged(padding=b"\1")),
    "padding-before-the-index": ("padding", _changed(b"{}\0", b"{}\1")),
    "section-changed": ("checksum", _changed(b"codes", b"codez")),
    "section-hash": ("checksum", forged(digests=[bytes(16)] * 5)),
    "empty-section-hash": ("checksum", forged(digests=[*_DIGESTS[:2], bytes(16), *_DIGESTS[3:]])),
    "frame-states-another-size": ("extra-frame", with_extra(_FRAME, 3)),
    "frame-states-nothing": ("extra-frame", with_extra(frame(b"{}", None), 2)),
    "frame-states-less-than-it-has": ("extra-frame", with_extra(frame(b"{}", 1), 1)),
    "frame-states-more-than-it-has": ("extra-frame", with_extra(frame(b"{}", 3), 3)),
    "frame-and-more": ("extra-frame", with_extra(_FRAME + b"\0", 2)),
    "two-frames": ("extra-frame", with_extra(_FRAME + _FRAME, 2)),
    "no-frame": ("extra-frame", with_extra(b"no frame", 2)),
    "frame-cut": ("extra-frame", with_extra(_FRAME[:-1], 2)),
    "bomb-stated": ("extra-frame", with_extra(repeated(2**28), 1000)),
    "bomb-unstated": ("extra-frame", with_extra(repeated(2**28, 1000), 1000)),
    "body-hash": ("body-checksum", _header(body_hash=bytes(16))),
}  # fmt: skip
"""File name without its end → the kind of the error that it must give, its bytes."""
