from __future__ import annotations

from pathlib import Path

import pytest

from subbit.model.statistics import Statistics
from tests.cli.process import subbit
from tests.tiny_llama import save_tiny_llama


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    home = tmp_path_factory.mktemp("calibrate")
    save_tiny_llama(home)
    return home


OPTIONS = ("--tokens", "64", "--window", "16", "--no-fisher")


def test_statistics_of_a_folder(folder: Path) -> None:
    result = subbit(
        "calibrate", "model", "--text", "text.txt", "-o", "s.safetensors", *OPTIONS, "--json", cwd=folder
    ).json()
    assert (result["version"], result["path"], result["provenance"]["tokens"]) == (1, "s.safetensors", "64")
    found = Statistics.load(folder / "s.safetensors")
    assert {name: list(layer.shape) for name, layer in found.layers.items()} == result["tensors"]
    assert len(found) == 16  # 14 linear layers, head, embedding
    again = subbit("calibrate", "model", "--text", "text.txt", "-o", "s.safetensors", *OPTIONS, cwd=folder)
    assert "s.safetensors: exists already" in again.error(2)
