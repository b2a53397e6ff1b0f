"""Files that are no checkpoint: one clear error each, with the way out."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import pytest
from safetensors.numpy import save

from subbit_formats.errors import SubbitError
from subbit_formats.sbit.header import MAGIC
from subbit_formats.sources import open_source

CONTENT = {
    "text": (b"these are no weights, only words", "format", "expected .safetensors"),
    "one byte": (b"\x80", "format", "expected .safetensors"),
    "nothing": (b"", "truncated", "empty file"),
    "Git LFS": (b"version https://git-lfs.example/spec/v1\noid 0\nsize 1\n", "pointer", "Git LFS pointer"),
    "web page": (b"\n<!DOCTYPE html><html>Sign in</html>", "pointer", "web page"),
    "other web page": (b"<html lang='en'>", "pointer", "web page"),
}


def refusal(path: Path) -> SubbitError:
    with pytest.raises(SubbitError) as caught:
        open_source(path)
    assert caught.value.path == str(path)
    return caught.value


@pytest.mark.parametrize("name", ["weights", "weights.bin", "weights.safetensors", "weights.gguf"])
@pytest.mark.parametrize("content", CONTENT)
def test_content_that_is_no_checkpoint(tmp_path: Path, content: str, name: str) -> None:
    data, kind, words = CONTENT[content]
    path = tmp_path / name
    path.write_bytes(data)
    error = refusal(path)
    if name.endswith(".safetensors") and kind == "format":
        assert error.kind in ("format", "truncated")
    else:
        assert error.kind == kind
        assert words in str(error)


def test_first_bytes_count_and_not_the_name(tmp_path: Path) -> None:
    path = tmp_path / "pytorch_model.bin"
    path.write_bytes(save({"w": np.arange(3)}))
    assert open_source(path).kind == "safetensors"


@pytest.mark.parametrize("name", ["model.sbit", "model.sbit.index.json"])
def test_compressed_files_say_so(tmp_path: Path, name: str) -> None:
    path = tmp_path / name
    path.write_bytes(b"{}")
    error = refusal(path)
    assert error.kind == "sbit"
    assert "subbit.open" in str(error)


def test_compressed_file_of_another_name_says_so(tmp_path: Path) -> None:
    path = tmp_path / "model.safetensors"
    path.write_bytes(MAGIC + bytes(200))
    assert refusal(path).kind == "sbit"


def test_missing_file(tmp_path: Path) -> None:
    assert refusal(tmp_path / "no" / "such.safetensors").kind == "missing"
    assert refusal(tmp_path / "no.safetensors.index.json").kind == "missing"


def test_unreadable_file(tmp_path: Path) -> None:
    path = tmp_path / "loop.safetensors"
    path.symlink_to(path)
    assert refusal(path).kind == "unreadable"


def test_device_is_no_checkpoint() -> None:
    assert refusal(Path(os.devnull)).kind == "unreadable"


@pytest.mark.skipif(not hasattr(os, "geteuid") or os.geteuid() == 0, reason="nothing is forbidden here")
def test_folder_without_permission(tmp_path: Path) -> None:
    folder = tmp_path / "locked"
    folder.mkdir(mode=0o000)
    try:
        assert refusal(folder).kind == "unreadable"
    finally:
        folder.chmod(0o700)
