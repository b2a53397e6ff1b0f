"""`max_bytes`: what a file states is compared before anything is decoded, allocated or written."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import subbit
from formats.bad.forge import forge
from subbit.errors import SubbitError
from subbit_formats.sbit import ShardedWriter, Writer, open_reader
from tests.cli.process import subbit as command

WEIGHTS, EXTRA = 4 * 6 * 4, 1000  # bytes of a float32 tensor and of an extra that compresses well


def add_all(writer: Any) -> None:
    encoded = subbit.encode(np.ones((4, 6), np.float32), subbit.Dense())
    parts = {name: getattr(encoded, name) for name in ("shape", "dtype", "codec", "knobs", "sections")}
    writer.extra("notes.txt", b"n" * EXTRA)
    writer.add("w", **parts)
    writer.alias("tied", "w")


@pytest.fixture
def small(tmp_path: Path) -> Path:
    with Writer(tmp_path / "m.sbit") as writer:
        add_all(writer)
    return tmp_path / "m.sbit"


def refused(call: Callable[[], Any]) -> None:
    with pytest.raises(SubbitError) as caught:
        call()
    assert caught.value.kind == "max-bytes"
    assert caught.value.path
    assert caught.value.hint


def test_weights_and_extras_count_once(small: Path) -> None:
    stated = WEIGHTS + EXTRA
    subbit.open(small, max_bytes=stated).close()
    refused(lambda: subbit.open(small, max_bytes=stated - 1))
    assert set(subbit.load(small, max_bytes=stated)) == {"w", "tied"}
    refused(lambda: subbit.load(small, max_bytes=stated - 1))


def test_the_type_that_is_asked_for_counts(small: Path) -> None:
    stated = WEIGHTS // 2 + EXTRA
    subbit.load(small, "bfloat16", max_bytes=stated)
    refused(lambda: subbit.load(small, "float64", max_bytes=WEIGHTS + EXTRA))


def test_nothing_is_written(small: Path, tmp_path: Path) -> None:
    refused(lambda: subbit.decompress(small, max_bytes=WEIGHTS))
    assert list(tmp_path.iterdir()) == [small]
    assert subbit.decompress(small, max_bytes=WEIGHTS + EXTRA).exists()


def test_shards_count_together(tmp_path: Path) -> None:
    with ShardedWriter(tmp_path / "m.sbit", 1) as writer:
        add_all(writer)
        encoded = subbit.encode(np.ones((4, 6), np.float32), subbit.Uniform())
        parts = {name: getattr(encoded, name) for name in ("shape", "dtype", "codec", "knobs", "sections")}
        writer.add("x", **parts)
    with open_reader(tmp_path / "m.sbit") as many:
        many.check_size(2 * WEIGHTS + EXTRA)
        refused(lambda: many.check_size(2 * WEIGHTS + EXTRA - 1))


def test_a_small_file_that_states_much(tmp_path: Path) -> None:
    tensor = {"codec": 0, "dtype": "int8", "name": "a", "sections": [["data", 1]], "shape": [2**47]}
    path = forge(tmp_path / "m.sbit", {"codecs": [{"id": "dense"}], "tensors": [tensor]}, [b"\0"])
    refused(lambda: subbit.load(path, max_bytes=2**30))


def test_the_command(small: Path) -> None:
    line = command("decompress", small, "--max-bytes", "1KB", cwd=small.parent).error(1)
    assert "states 1,096 bytes of weights and extras, 1,000 are allowed" in line
    assert "wrote" in command("decompress", small, "--max-bytes", "1.1KB", cwd=small.parent).ok()
