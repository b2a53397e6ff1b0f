"""Never a model with random weights: whatever is wrong with a folder is an error."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import torch

import subbit
from subbit.errors import SubbitError, UsageError
from subbit.model.folder import write_folder

os.environ.setdefault("HF_HUB_OFFLINE", "1")
transformers = pytest.importorskip("transformers")
hf = pytest.importorskip("subbit.torch.hf")


def tiny(layers: int = 1) -> torch.nn.Module:
    torch.manual_seed(0)
    config = transformers.LlamaConfig(
        vocab_size=64, hidden_size=32, intermediate_size=48, num_hidden_layers=layers, num_attention_heads=2
    )
    return transformers.LlamaForCausalLM(config)


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    home = tmp_path_factory.mktemp("refusals")
    tiny().save_pretrained(home / "dense")
    subbit.compress(home / "dense", home / "model.sbit", bits=2.0)
    return write_folder(home / "model.sbit", home / "folder")


@pytest.fixture
def folder(made: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(made, tmp_path / "folder"))


def load(folder: Path) -> Any:
    return transformers.AutoModelForCausalLM.from_pretrained(folder)


def edit(folder: Path, **settings: object) -> None:
    path = folder / "config.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | settings))


WITHOUT = """
import sys, transformers
for auto, folder in zip(sys.argv[1::2], sys.argv[2::2]):
    try:
        getattr(transformers, auto).from_pretrained(folder)
    except Exception as error:
        print(str(error).splitlines()[-1])
"""


def test_without_subbit_transformers_refuses_and_says_what_to_do(folder: Path, tmp_path: Path) -> None:
    load(folder).save_pretrained(tmp_path / "saved")
    asked = ["AutoModelForCausalLM", folder, "AutoModel", folder, "LlamaForCausalLM", tmp_path / "saved"]
    done = subprocess.run([sys.executable, "-c", WITHOUT, *map(str, asked)], capture_output=True, text=True, check=True)
    said = done.stdout.splitlines()
    assert len(said) == 3, done.stderr
    assert all("import subbit.torch.hf before from_pretrained" in line for line in said)


def test_a_flipped_bit(folder: Path) -> None:
    path = folder / "model.sbit"
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 1
    path.write_bytes(data)
    with pytest.raises(SubbitError) as caught:
        load(folder)
    assert caught.value.path == str(path)


def test_no_sbit_file(folder: Path) -> None:
    (folder / "model.sbit").unlink()
    with pytest.raises(SubbitError, match="no such file"):
        load(folder)


@pytest.mark.parametrize("version", [0, 2, "1", None, True])
def test_a_configuration_of_another_version(folder: Path, version: object) -> None:
    edit(folder, quantization_config={"quant_method": "subbit", "version": version})
    with pytest.raises(UsageError, match="pip install -U subbit"):
        load(folder)


@pytest.mark.parametrize("layers", [0, 2])
def test_weights_that_are_missing_or_left_over(folder: Path, layers: int) -> None:
    edit(folder, num_hidden_layers=layers)
    with pytest.raises(SubbitError, match="the file lacks" if layers else "the module has no") as caught:
        load(folder)
    assert caught.value.kind == "names"


def test_another_shape(folder: Path) -> None:
    edit(folder, intermediate_size=64)
    with pytest.raises(SubbitError) as caught:
        load(folder)
    assert caught.value.kind == "shape"


def test_a_new_head_is_not_made_up(folder: Path) -> None:
    with pytest.raises(SubbitError, match="score"):
        transformers.AutoModelForSequenceClassification.from_pretrained(folder)


def test_a_head_that_nobody_asked_for_stays_in_the_file(folder: Path, tmp_path: Path) -> None:
    base = transformers.AutoModel.from_pretrained(folder)
    whole = load(folder)
    words = torch.arange(9)[None]
    with torch.no_grad():
        expected = whole.model(words).last_hidden_state
        assert torch.equal(base(words).last_hidden_state, expected)
        base.save_pretrained(tmp_path / "base")
        again = transformers.AutoModel.from_pretrained(tmp_path / "base")
        assert torch.equal(again(words).last_hidden_state, expected)


def test_options_and_pushing(folder: Path, made: Path, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="unknown option"):
        transformers.AutoModelForCausalLM.from_pretrained(
            made.parent / "dense", quantization_config=hf.SubbitConfig(bitz=1)
        )
    with pytest.raises(UsageError, match="upload_folder"):
        load(folder).save_pretrained(tmp_path / "x", push_to_hub=True)  # type: ignore[attr-defined]


def test_folders_are_not_overwritten_and_need_a_configuration(made: Path, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="already"):
        write_folder(made.parent / "model.sbit", made)
    write_folder(made.parent / "model.sbit", made, force=True)
    subbit.compress(made.parent / "dense" / "model.safetensors", tmp_path / "bare.sbit", bits=2.0)
    with pytest.raises(SubbitError, match="config"):
        write_folder(tmp_path / "bare.sbit", tmp_path / "out")
    assert not (tmp_path / "out").exists()
