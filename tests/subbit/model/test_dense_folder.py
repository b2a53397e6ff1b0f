"""Back to the folder that a model came from."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from safetensors.numpy import load_file, save_file

import subbit
from subbit.errors import SubbitError, UsageError
from subbit_formats.sources import open_source
from tests.checks import weights


@pytest.fixture(scope="module")
def packed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    model = tmp_path_factory.mktemp("model")
    tensors = {f"layers.{k}.weight": weights((64, 96), seed=k) for k in range(4)} | {"norm.weight": np.ones(96, "f4")}
    save_file(tensors, model / "model.safetensors", metadata={"format": "pt"})
    (model / "config.json").write_text('{"model_type": "llama"}')
    (model / "tokenizer.json").write_text("{}")
    subbit.compress(model, model / "m.sbit", bits=2.0)
    return model / "m.sbit"


@pytest.mark.parametrize(("shard_bytes", "files"), [(10**9, 1), (49_200, 3), (1, 5)])
def test_a_folder_decodes_to_the_same_weights_and_compresses_again(
    packed: Path, tmp_path: Path, shard_bytes: int, files: int
) -> None:
    folder = subbit.decompress_folder(packed, tmp_path / "out", shard_bytes=shard_bytes)
    assert len(list(folder.glob("*.safetensors"))) == files
    assert (folder / "config.json").read_text() == '{"model_type": "llama"}'
    assert (folder / "tokenizer.json").read_text() == "{}"
    expected = subbit.load(packed)
    with open_source(folder) as source:
        assert {name: tensor.read().tobytes() for name, tensor in source.items()} == {
            name: array.tobytes() for name, array in expected.items()
        }
    if files > 1:
        index = json.loads((folder / "model.safetensors.index.json").read_text())
        assert index["metadata"]["total_size"] == sum(array.nbytes for array in expected.values())
        for name, shard in index["weight_map"].items():
            assert name in load_file(folder / shard)


def test_what_is_there_is_replaced_whole_or_not_at_all(packed: Path, tmp_path: Path) -> None:
    folder = subbit.decompress_folder(packed, tmp_path / "out", shard_bytes=1)
    with pytest.raises(UsageError, match="already"):
        subbit.decompress_folder(packed, folder, shard_bytes=1)
    (folder / "notes.txt").write_text("mine")
    subbit.decompress_folder(packed, folder, dtype="bfloat16", force=True)
    assert sorted(path.name for path in folder.iterdir()) == [
        "config.json", "model.safetensors", "notes.txt", "tokenizer.json",
    ]  # fmt: skip
    with pytest.raises(SubbitError) as caught:
        subbit.decompress_folder(packed, tmp_path / "x", max_bytes=10)
    assert caught.value.kind == "max-bytes"
    assert not (tmp_path / "x").exists()
