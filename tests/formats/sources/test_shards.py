"""Sharded checkpoints: the index and its shards must agree."""

from __future__ import annotations

import json
from functools import partial
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.numpy import save_file

from subbit_formats.errors import SubbitError
from subbit_formats.sources import open_source

FIRST, SECOND = "model-00001-of-00002.safetensors", "model-00002-of-00002.safetensors"


@pytest.fixture
def index(tmp_path: Path) -> Path:
    """Two shards as transformers writes them."""
    save_file({"a": np.arange(3), "c": np.eye(2)}, tmp_path / FIRST, metadata={"format": "pt", "part": "1"})
    save_file({"b": np.ones(4)}, tmp_path / SECOND, metadata={"format": "pt", "part": "2"})
    return write_index(tmp_path, {"a": FIRST, "c": FIRST, "b": SECOND})


def write_index(folder: Path, weight_map: object) -> Path:
    path = folder / "model.safetensors.index.json"
    path.write_text(json.dumps({"metadata": {"total_size": 1}, "weight_map": weight_map}))
    return path


def refusal(path: Path) -> SubbitError:
    with pytest.raises(SubbitError) as caught:
        open_source(path)
    return caught.value


def test_shards_are_one_mapping_in_order_of_names(index: Path) -> None:
    source = open_source(index)
    assert source.kind == "sharded safetensors"
    assert list(source) == ["a", "b", "c"]
    assert source["c"].read().tolist() == [[1, 0], [0, 1]]
    assert source["b"].read().tolist() == [1, 1, 1, 1]


def test_metadata_that_differs_between_shards_is_kept_twice(index: Path) -> None:
    assert open_source(index).metadata == {"format": "pt", "part": "1", f"part@{SECOND}": "2"}


def test_a_tensor_the_index_forgot_is_not_lost(index: Path) -> None:
    write_index(index.parent, {"a": FIRST, "b": SECOND})
    assert list(open_source(index)) == ["a", "b", "c"]


def test_missing_shard_is_named(index: Path) -> None:
    (index.parent / SECOND).unlink()
    error = refusal(index)
    assert error.kind == "missing"
    assert error.path == str(index.parent / SECOND)


def test_truncated_shard_is_named(index: Path) -> None:
    shard = index.parent / SECOND
    shard.write_bytes(shard.read_bytes()[:-3])
    error = refusal(index)
    assert (error.kind, error.path) == ("truncated", str(shard))
    assert "3 of" in str(error)


@pytest.mark.parametrize(
    "outside", ["../x.safetensors", "/etc/x", "a/../../x", "C:\\x", "..\\x", "\\\\host\\x", "a\0b"]
)
def test_shards_outside_the_folder_are_refused(index: Path, outside: str) -> None:
    write_index(index.parent, {"a": FIRST, "z": outside})
    error = refusal(index)
    assert error.kind == "outside"
    assert error.path == str(index)


def test_tensor_that_is_not_in_its_shard(index: Path) -> None:
    write_index(index.parent, {"a": FIRST, "c": SECOND, "b": SECOND})
    error = refusal(index)
    assert (error.kind, error.tensor, error.path) == ("format", "c", str(index.parent / SECOND))


def test_tensor_in_two_shards(index: Path) -> None:
    save_file({"b": np.ones(4), "a": np.arange(3)}, index.parent / SECOND)
    error = refusal(index)
    assert (error.kind, error.tensor) == ("duplicate", "a")


@pytest.mark.parametrize("weight_map", [None, {}, [], {"a": 3}, {"a": ""}])
def test_indexes_that_are_none(tmp_path: Path, weight_map: object) -> None:
    assert refusal(write_index(tmp_path, weight_map)).kind == "format"


@pytest.mark.parametrize(
    ("text", "kind"),
    [
        ("{", "format"),
        ("[]", "format"),
        ('{"weight_map": {"a": "x", "a": "y"}}', "duplicate"),
        ("version https://git-lfs.example/spec/v1\noid sha256:0\nsize 1\n", "pointer"),
    ],
)
def test_files_that_are_no_index(tmp_path: Path, text: str, kind: str) -> None:
    path = tmp_path / "model.safetensors.index.json"
    path.write_text(text)
    assert refusal(path).kind == kind


@pytest.mark.parametrize("zipped", [True, False])
def test_sharded_torch_checkpoint(tmp_path: Path, zipped: bool) -> None:
    save = partial(torch.save, _use_new_zipfile_serialization=zipped)
    tied = torch.arange(6.0).reshape(2, 3)
    save({"embed": tied, "head": tied}, tmp_path / "pytorch_model-00001-of-00002.bin")
    save({"norm": torch.ones(3)}, tmp_path / "pytorch_model-00002-of-00002.bin")
    names = {"embed": 1, "head": 1, "norm": 2}
    weight_map = {name: f"pytorch_model-0000{shard}-of-00002.bin" for name, shard in names.items()}
    path = tmp_path / "pytorch_model.bin.index.json"
    path.write_text(json.dumps({"weight_map": weight_map}))
    source = open_source(path)
    assert source.kind == "sharded torch"
    assert source.aliases == {"head": "embed"}
    assert list(source) == ["embed", "norm"]
    assert open_source(tmp_path)["embed"].read().tolist() == tied.tolist()
