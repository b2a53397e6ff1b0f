"""Rules of the container that no bad file shows; `formats/bad` has one for each of the others."""

from __future__ import annotations

from pathlib import Path

import pytest

from formats.bad.container_cases import index_with
from formats.bad.forge import forge
from formats.bad.make_bad import HOME as BAD
from subbit_formats.errors import SubbitError
from subbit_formats.sbit import Reader
from subbit_formats.sbit.index import CodecRecord, ExtraRecord, Index, TensorRecord
from subbit_formats.sbit.validate import check_index


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


def test_frame_is_refused_when_its_extra_is_read_too() -> None:
    with Reader(BAD / "container" / "bomb-stated.sbit") as reader, pytest.raises(SubbitError, match="stated size"):
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
