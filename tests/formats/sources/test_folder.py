"""Hugging Face folders: the documented order of choice, and what travels along."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.numpy import save_file

from subbit_formats.errors import SubbitError
from subbit_formats.sources import open_source


def put(folder: Path, name: str, mark: float) -> None:
    """Weights whose value tells which file was taken."""
    weights = np.full(2, mark, np.float32)
    if name.endswith(".index.json"):
        shard = "shard-" + name.removesuffix(".index.json")
        put(folder, shard, mark)
        (folder / name).write_text(json.dumps({"weight_map": {"w": shard}}))
    elif name.endswith(".safetensors"):
        save_file({"w": weights}, folder / name)
    elif name.endswith(".bin"):
        torch.save({"w": torch.from_numpy(weights)}, folder / name)


def taken(folder: Path) -> float:
    return float(open_source(folder)["w"].read()[0])


def test_order_of_choice(tmp_path: Path) -> None:
    names = ["pytorch_model.bin", "pytorch_model.bin.index.json", "other.safetensors", "model.safetensors"]
    for mark, name in enumerate([*names, "model.safetensors.index.json"]):
        put(tmp_path, name, mark)
        assert taken(tmp_path) == mark


def test_an_index_of_another_name_goes_before_its_shards(tmp_path: Path) -> None:
    put(tmp_path, "variant.safetensors.index.json", 5)
    put(tmp_path, "extra.safetensors", 6)
    assert taken(tmp_path) == 5


def test_extras_are_carried_and_read_late(tmp_path: Path) -> None:
    put(tmp_path, "model.safetensors", 1)
    for name in ("config.json", "tokenizer.json", "merges.txt", "README.md", "training_args.bin"):
        (tmp_path / name).write_text(f"this is {name}")
    source = open_source(tmp_path)
    assert source.kind == "folder"
    assert source.path == tmp_path
    assert list(source.extras) == ["config.json", "merges.txt", "tokenizer.json"]
    (tmp_path / "config.json").write_text("changed")
    assert source.extras["config.json"]() == b"changed"


def test_ambiguous_folder_names_the_choices(tmp_path: Path) -> None:
    for name in ("a.safetensors", "b.safetensors"):
        put(tmp_path, name, 1)
    with pytest.raises(SubbitError, match=r"a\.safetensors, b\.safetensors") as caught:
        open_source(tmp_path)
    assert (caught.value.kind, caught.value.path) == ("ambiguous", str(tmp_path))


def test_hidden_leftovers_are_no_choice(tmp_path: Path) -> None:
    put(tmp_path, "a.safetensors", 1)
    put(tmp_path, ".a.safetensors", 2)
    assert taken(tmp_path) == 1


@pytest.mark.parametrize("names", [[], ["README.md"], ["config.json"]])
def test_folder_without_weights(tmp_path: Path, names: list[str]) -> None:
    for name in names:
        (tmp_path / name).write_text("{}")
    with pytest.raises(SubbitError) as caught:
        open_source(tmp_path)
    assert caught.value.kind == "empty"
    assert "expected" in str(caught.value)


def test_folder_of_a_compressed_model_says_so(tmp_path: Path) -> None:
    (tmp_path / "model.sbit").write_bytes(b"anything")
    with pytest.raises(SubbitError, match="already compressed") as caught:
        open_source(tmp_path)
    assert caught.value.kind == "sbit"


def test_damaged_weights_are_named_and_not_the_folder(tmp_path: Path) -> None:
    put(tmp_path, "model.safetensors", 1)
    path = tmp_path / "model.safetensors"
    path.write_bytes(path.read_bytes()[:-1])
    with pytest.raises(SubbitError) as caught:
        open_source(tmp_path)
    assert (caught.value.kind, caught.value.path) == ("truncated", str(path))
