"""Every single-bit flip, every truncation and any appended byte of a small file is reported."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from subbit_formats.errors import SubbitError
from subbit_formats.sbit import Reader, Writer


@pytest.fixture
def small(tmp_path: Path) -> Path:
    path = tmp_path / "small.sbit"
    with Writer(path, {"m": "x"}) as writer:
        writer.add("a", shape=(3,), dtype="int8", codec="c", knobs={"seed": 1}, sections={"s": b"abc", "t": b""})
        writer.add("b", shape=(9,), dtype="int8", codec="c", knobs={}, sections={"s": b"123456789"})
        writer.alias("z", "b")
        writer.extra("e", b"ab" * 99)
    return path


def verify(path: Path) -> None:
    with Reader(path) as reader:
        reader.verify()


def read_everything(path: Path) -> None:
    with Reader(path) as reader:
        for name in reader.tensors:
            reader.sections(name)
        for name in reader.extras:
            reader.extra(name)


both = pytest.mark.parametrize("check", [verify, read_everything])


@both
def test_every_bit_flip(small: Path, check: Callable[[Path], None]) -> None:
    data = bytearray(small.read_bytes())
    check(small)
    silent = []
    for position in range(8 * len(data)):
        data[position // 8] ^= 1 << position % 8
        small.write_bytes(data)
        try:
            check(small)
            silent.append(position)
        except SubbitError:
            pass
        data[position // 8] ^= 1 << position % 8
    assert silent == []


@both
def test_every_truncation_and_appended_byte(small: Path, check: Callable[[Path], None]) -> None:
    data = small.read_bytes()
    for size in range(len(data)):
        small.write_bytes(data[:size])
        with pytest.raises(SubbitError) as caught:
            check(small)
        assert caught.value.kind == "truncated"
    for byte in range(256):
        small.write_bytes(data + bytes([byte]))
        with pytest.raises(SubbitError, match="follow the end"):
            check(small)
