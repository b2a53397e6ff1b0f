"""One forged file for each rule: right in every checksum, wrong in one thing."""

from __future__ import annotations

import copy
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import zstandard

from formats.bad.forge import canonical, forge, plain_index, plain_sections, xxh
from subbit_formats.errors import SubbitError
from subbit_formats.sbit import Reader
from subbit_formats.sbit.index import CodecRecord, ExtraRecord, Index, TensorRecord
from subbit_formats.sbit.rules import RULES
from subbit_formats.sbit.validate import check_index

Forger = Callable[[Path], Any]


def index_with(path: str, value: Any) -> dict[str, Any]:
    """The plain index with one value replaced; `path` as "tensors.1.name"."""
    index = copy.deepcopy(plain_index())
    *keys, last = [int(key) if key.isdigit() else key for key in path.split(".")]
    place: Any = index
    for key in keys:
        place = place[key]
    place[last] = value
    return index


def with_index(path: str, value: Any) -> Forger:
    return lambda file: forge(file, index_with(path, value))


def with_header(**fields: Any) -> Forger:
    return lambda file: forge(file, header=fields)


def with_extra(content: bytes, raw_size: int | None, **keys: Any) -> Forger:
    record = {"name": "config.json", "size": len(content), **keys}
    if raw_size is not None:
        record["raw_size"] = raw_size
    return lambda file: forge(file, index_with("extras.0", record), [*plain_sections()[:-1], content])


def with_text(old: bytes, new: bytes) -> Forger:
    return lambda file: forge(file, canonical(plain_index()).replace(old, new))


def changed(old: bytes, new: bytes) -> Forger:
    def make(file: Path) -> None:
        forge(file)
        file.write_bytes(file.read_bytes().replace(old, new, 1))

    return make


def unstated_frame() -> bytes:
    stream = zstandard.ZstdCompressor().compressobj()
    return bytes(stream.compress(b"{}") + stream.flush())


FRAME = zstandard.ZstdCompressor().compress(b"{}")
BOMB = zstandard.ZstdCompressor().compress(bytes(2**28))
DEEP: Any = 1
for _ in range(8):
    DEEP = [DEEP]
B = plain_index()["tensors"][1]

BAD: list[tuple[str, str, Forger]] = [
    ("empty", "truncated", lambda file: file.write_bytes(b"")),
    ("seven bytes", "truncated", lambda file: file.write_bytes(b"\x89SBT\r\n\x1a")),
    ("127 bytes", "truncated", lambda file: file.write_bytes(forge(file).read_bytes()[:127])),
    ("zip", "not-sbit", lambda file: file.write_bytes(b"PK\3\4" * 100)),
    ("safetensors", "not-sbit", lambda file: file.write_bytes(b"\x40\0\0\0\0\0\0\0{}")),
    (
        "crlf to lf",
        "text-mode",
        lambda file: file.write_bytes(forge(file).read_bytes().replace(b"\r\n", b"\n")),
    ),
    (
        "lf to crlf",
        "text-mode",
        lambda file: file.write_bytes(forge(file).read_bytes().replace(b"\n", b"\r\n")),
    ),
    ("lf to cr", "text-mode", lambda file: file.write_bytes(forge(file).read_bytes().replace(b"\n", b"\r"))),
    ("7 bit", "text-mode", lambda file: file.write_bytes(bytes(b & 127 for b in forge(file).read_bytes()))),
    (
        "utf-8",
        "text-mode",
        lambda file: file.write_bytes(forge(file).read_bytes().decode("latin-1").encode()),
    ),
    (
        "replaced",
        "text-mode",
        lambda file: file.write_bytes(forge(file).read_bytes().decode(errors="replace").encode()),
    ),
    ("header hash", "header", changed(b"\x01\0\0\0\0\0\0\0", b"\x01\0\1\0\0\0\0\0")),
    ("major 2", "newer-version", with_header(major=2)),
    (
        "major 2, all else new",
        "newer-version",
        with_header(major=2, reserved=1, size=5, offset=9, zeros=b"\1" * 32),
    ),
    ("major 0", "version", with_header(major=0)),
    ("reserved", "reserved", with_header(reserved=1)),
    ("reserved tail", "reserved", with_header(zeros=bytes(31) + b"\1")),
    ("size less", "trailing", with_header(size=300)),
    ("size more", "truncated", with_header(size=30000)),
    ("appended", "trailing", lambda file: forge(file, tail=b"\0")),
    ("index too large", "index-size", with_header(index_size=2**24 + 1)),
    ("index size 2^64-1", "index-size", with_header(index_size=2**64 - 1)),
    ("index outside", "index-place", with_header(offset=2**60)),
    ("index in header", "index-place", with_header(offset=0)),
    ("digests outside", "index-place", with_header(count=2**64 - 1)),
    ("index unaligned", "index-place", with_header(offset=161)),
    ("index hash", "index-checksum", with_header(index_hash=bytes(16))),
    ("no JSON", "index-json", lambda file: forge(file, b"\xff\xfe")),
    ("empty JSON", "index-json", lambda file: forge(file, b"")),
    ("nested", "index-json", lambda file: forge(file, b'{"codecs":' + b"[" * 10**6)),
    ("array", "index-json", lambda file: forge(file, [])),
    ("unknown key", "index-json", with_index("more", 1)),
    ("unknown tensor key", "index-json", with_index("tensors.0.more", 1)),
    ("float size", "index-json", with_index("tensors.0.shape", [3.0])),
    ("text size", "index-json", with_index("tensors.0.shape", ["3"])),
    ("missing key", "index-json", lambda file: forge(file, index_with("tensors.0", {"name": "a"}))),
    ("NaN", "index-json", with_text(b"0.5", b"NaN")),
    ("half a surrogate", "index-json", with_text(b"by hand", b"\\ud800")),
    (
        "white space",
        "index-canonical",
        lambda file: forge(file, json.dumps(plain_index(), sort_keys=True).encode()),
    ),
    ("key order", "index-canonical", with_text(b'"bits":0.5,"seed":7', b'"seed":7,"bits":0.5')),
    ("key twice", "index-canonical", with_text(b'"seed":7', b'"seed":6,"seed":7')),
    ("number spelling", "index-canonical", with_text(b"0.5", b"5e-1")),
    ("string spelling", "index-canonical", with_text(b"by hand", b"by\\u0020hand")),
    (
        "default spelled out",
        "index-canonical",
        with_text(b'"dtype":"bfloat16"', b'"covered":true,"dtype":"bfloat16"'),
    ),
    ("empty key", "index-canonical", with_text(b'"aliases":{"tied":"b"}', b'"aliases":{}')),
    ("end of line", "index-canonical", lambda file: forge(file, canonical(plain_index()) + b"\n")),
    ("no name", "name", with_index("tensors.0.name", "")),
    ("NUL", "name", with_index("tensors.0.name", "\0")),
    ("long name", "name", with_index("tensors.1.name", "é" * 513)),
    ("codec name", "name", with_index("codecs.0.id", "")),
    ("section name", "name", with_index("tensors.0.sections", [["", 12]])),
    ("extra name", "name", with_index("extras.0.name", "")),
    ("alias name empty", "name", with_index("aliases", {"": "b"})),
    ("order", "tensor-order", with_index("tensors.0.name", "c")),
    ("twice", "tensor-order", with_index("tensors.0.name", "b")),
    ("dtype", "dtype", with_index("tensors.0.dtype", "f32")),
    ("nine dimensions", "shape", with_index("tensors.0.shape", [1] * 9)),
    ("negative", "shape", with_index("tensors.0.shape", [-3])),
    ("too many weights", "weights", with_index("tensors.0.shape", [2**24, 2**24])),
    ("zero times overflow", "weights", with_index("tensors.0.shape", [0, 2**40, 2**40])),
    ("beyond 64 bits", "weights", with_index("tensors.0.shape", [2**70])),
    (
        "too many weights in all",
        "weights",
        lambda file: forge(file, index_with("tensors.0.shape", [2**48 - 1])),
    ),
    ("17 sections", "section-count", with_index("tensors.0.sections", [[f"{k:02}", 0] for k in range(17)])),
    ("section twice", "section-name", with_index("tensors.0.sections", [["raw", 12], ["raw", 0]])),
    ("negative size", "section-size", with_index("tensors.0.sections", [["raw", -1]])),
    ("huge size", "section-size", with_index("tensors.0.sections", [["raw", 2**63]])),
    ("huge extra", "section-size", with_index("extras.0.size", 2**63)),
    ("deep knobs", "knobs", with_index("codecs.1.knobs", {"a": DEEP})),
    ("large knob", "knobs", with_index("codecs.1.knobs", {"a": 2**64})),
    ("codec number", "codec-number", with_index("tensors.1.codec", 2)),
    ("codec number -1", "codec-number", with_index("tensors.1.codec", -1)),
    ("codec twice", "codec-table", with_index("codecs.1", {"id": "dense"})),
    ("codec unused", "codec-table", with_index("tensors.1.codec", 0)),
    ("codec order", "codec-table", with_index("tensors.0.codec", 1)),
    ("alias is a tensor", "alias-name", with_index("aliases", {"a": "b"})),
    ("alias of nothing", "alias-target", with_index("aliases", {"tied": "c"})),
    ("alias of an alias", "alias-target", with_index("aliases", {"tied": "b", "x": "tied"})),
    (
        "extra order",
        "extra-order",
        with_index("extras", [{"name": "x", "size": 2}, {"name": "a", "size": 0}]),
    ),
    (
        "extra twice",
        "extra-order",
        with_index("extras", [{"name": "x", "size": 2}, {"name": "x", "size": 0}]),
    ),
    ("extra too large", "extra-size", with_extra(FRAME, 2**30 + 1)),
    ("plain extra too large", "extra-size", with_index("extras.0.size", 2**30 + 1)),
    ("extra negative", "extra-size", with_extra(FRAME, -1)),
    ("required", "extra-required", with_extra(b"{}", None, required=True)),
    (
        "digest missing",
        "digest-count",
        lambda file: forge(file, digests=[xxh(s) for s in plain_sections()[:-1]]),
    ),
    ("sections longer", "layout", with_index("tensors.0.sections", [["raw", 20]])),
    ("sections shorter", "layout", with_index("tensors.0.sections", [["raw", 1]])),
    ("padding", "padding", lambda file: forge(file, padding=b"\1")),
    ("padding before the index", "padding", changed(b"{}\0", b"{}\1")),
    ("section hash", "checksum", lambda file: forge(file, digests=[bytes(16)] * 5)),
    (
        "empty section hash",
        "checksum",
        lambda file: forge(file, digests=[*map(xxh, plain_sections()[:2]), bytes(16), *map(xxh, plain_sections()[3:])]),
    ),
    ("frame states less", "extra-frame", with_extra(FRAME, 3)),
    ("frame states nothing", "extra-frame", with_extra(unstated_frame(), 2)),
    ("frame and more", "extra-frame", with_extra(FRAME + b"\0", 2)),
    ("no frame", "extra-frame", with_extra(b"no frame", 2)),
    ("frame cut", "extra-frame", with_extra(FRAME[:-1], 2)),
    ("bomb", "extra-frame", with_extra(BOMB, 1000)),
    ("body hash", "body-checksum", with_header(body_hash=bytes(16))),
]


@pytest.mark.parametrize(("kind", "make"), [bad[1:] for bad in BAD], ids=[bad[0] for bad in BAD])
def test_each_rule_is_reported_under_its_name(tmp_path: Path, kind: str, make: Forger) -> None:
    path = tmp_path / "bad.sbit"
    make(path)
    with pytest.raises(SubbitError) as caught, Reader(path) as reader:
        reader.verify()
    assert caught.value.kind == kind
    assert str(path) in str(caught.value)
    assert caught.value.hint


def test_each_rule_has_a_bad_file() -> None:
    counted = {"tensor-count", "extra-count"}  # their index would be long: below, without a file
    assert {kind for _, kind, _ in BAD} | counted == set(RULES)


def test_too_many_of_anything() -> None:
    tensor = TensorRecord(codec=0, dtype="int8", name="a", sections=(), shape=())
    with pytest.raises(SubbitError) as caught:
        check_index(Index(codecs=(CodecRecord(id="c"),), tensors=(tensor,) * (10**6 + 1)))
    assert caught.value.kind == "tensor-count"
    with pytest.raises(SubbitError) as caught:
        check_index(Index(extras=(ExtraRecord(name="a", size=0),) * (10**4 + 1)))
    assert caught.value.kind == "extra-count"


def test_the_plain_file_is_good(tmp_path: Path) -> None:
    with Reader(forge(tmp_path / "good.sbit")) as reader:
        reader.verify()


def test_frame_is_refused_when_its_extra_is_read_too(tmp_path: Path) -> None:
    with_extra(BOMB, 1000)(tmp_path / "bomb.sbit")
    with Reader(tmp_path / "bomb.sbit") as reader, pytest.raises(SubbitError, match="stated size"):
        reader.extra("config.json")


def test_newer_minor_versions_are_read(tmp_path: Path) -> None:
    path = tmp_path / "newer.sbit"
    index = index_with("extras", [{"name": "future", "size": 2}])
    with Reader(forge(path, index, header={"minor": 9})) as reader:
        reader.verify()
        assert reader.version == (1, 9)
        assert bytes(reader.section("a", "raw")) == b"abcdefghijkl"
    index["extras"][0]["required"] = True
    forge(path, index, header={"minor": 9})
    with pytest.raises(SubbitError, match="'future'") as caught:
        Reader(path)
    assert caught.value.kind == "extra-required"
    with Reader(path, understood=["future"]) as reader:
        assert reader.extra("future") == b"{}"


def test_errors_say_where(tmp_path: Path) -> None:
    path = forge(tmp_path / "m.sbit")
    data = path.read_bytes()
    at = data.index(b"codes", 128)
    path.write_bytes(data.replace(b"codes", b"codez", 1))
    with Reader(path) as reader:
        assert bytes(reader.section("a", "raw")) == b"abcdefghijkl"
        for read in (lambda: reader.section("b", "codes"), reader.verify):
            with pytest.raises(SubbitError) as caught:
                read()
            assert (caught.value.kind, caught.value.tensor, caught.value.offset) == ("checksum", "b", at)
            assert "section 'codes'" in str(caught.value)


def test_what_is_no_file(tmp_path: Path) -> None:
    for path, kind in (
        (tmp_path, "unreadable"),
        (tmp_path / "none", "missing"),
        (tmp_path / "x\0y", "unreadable"),
    ):
        with pytest.raises(SubbitError) as caught:
            Reader(path)
        assert caught.value.kind == kind
        assert caught.value.hint
