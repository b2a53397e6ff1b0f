"""A budget for the whole file: every byte over every weight, with embeddings, norms, extras, aliases and all."""

from __future__ import annotations

import json
import re
from pathlib import Path

import numpy as np
import pytest
from safetensors.numpy import save_file

import subbit

RANDOM = np.random.default_rng(0)


def arrays() -> dict[str, np.ndarray]:
    found = {f"layers.{k}.q.weight": RANDOM.standard_normal((768, 512)).astype(np.float32) for k in range(2)}
    found |= {f"layers.{k}.norm.weight": RANDOM.standard_normal(512).astype(np.float32) for k in range(2)}
    return found | {"embed_tokens.weight": RANDOM.standard_normal((600, 512)).astype(np.float32), "steps": np.array(7)}


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A checkpoint with a configuration and a tokenizer that are worth counting."""
    home = tmp_path_factory.mktemp("file_bits") / "m"
    home.mkdir()
    save_file(arrays(), home / "model.safetensors", metadata={"note": "a test " * 20})
    (home / "config.json").write_text("{}")
    (home / "tokenizer.json").write_text(json.dumps({hex(k * 2654435761 % 2**32): k for k in range(600)}))
    return home


@pytest.mark.parametrize("bits", [0.5, 1.0])
def test_the_file_takes_what_it_may_and_no_more(folder: Path, bits: float, tmp_path: Path) -> None:
    report = subbit.compress(folder, tmp_path / "m.sbit", file_bits=bits)
    size = (tmp_path / "m.sbit").stat().st_size
    assert report.file_bytes == size
    assert 0.99 * bits <= 8 * size / report.file_weights <= bits
    rows = {row.name: row for row in report.tensors}
    assert rows["embed_tokens.weight"].covered
    assert not rows["layers.0.norm.weight"].covered


@pytest.mark.parametrize("choice", [{"embeddings": 4}, {"keep": ["*embed*"]}])
def test_what_is_kept_is_in_the_budget_too(folder: Path, choice: dict[str, object], tmp_path: Path) -> None:
    with pytest.raises(subbit.UsageError, match="cannot be met") as caught:
        subbit.compress(folder, tmp_path / "m.sbit", file_bits=0.7, **choice)  # type: ignore[arg-type]
    found = re.search(r"smallest that can is ([0-9.]+)", str(caught.value))
    assert found
    bits = 1.05 * float(found[1])
    report = subbit.compress(folder, tmp_path / "m.sbit", file_bits=bits, **choice)  # type: ignore[arg-type]
    assert 0.99 * bits <= report.bits_per_weight <= bits
    with pytest.raises(subbit.UsageError, match="cannot be met"):
        subbit.compress(folder, tmp_path / "n.sbit", file_bits=0.98 * float(found[1]), **choice)  # type: ignore[arg-type]


def test_a_plan_by_the_file_is_executed_as_it_stands(folder: Path, tmp_path: Path) -> None:
    plan = subbit.plan(folder, file_bits=1.0)
    one, two = (subbit.compress(folder, tmp_path / f"{k}.sbit", **how).path for k, how in enumerate(
        [{"file_bits": 1.0}, {"plan": plan}]
    ))  # fmt: skip
    assert one.read_bytes() == two.read_bytes()


def test_tied_names_are_counted(tmp_path: Path) -> None:
    import torch

    shared = torch.from_numpy(RANDOM.standard_normal((600, 512)).astype(np.float32))
    torch.save({"embed_tokens.weight": shared, "lm_head.weight": shared, "norm": torch.ones(512)}, tmp_path / "m.pt")
    report = subbit.compress(tmp_path / "m.pt", file_bits=1.0)
    assert report.file_weights == 600 * 512 + 512
    assert 0.98 <= report.bits_per_weight <= 1.0
    with subbit.open(report.path) as file:
        assert file.aliases


def test_shards_know_nothing_of_the_whole(folder: Path, tmp_path: Path) -> None:
    with pytest.raises(subbit.UsageError, match="shards"):
        subbit.compress(folder, tmp_path / "m.sbit", file_bits=1.0, shard_bytes=10**6)


@pytest.mark.parametrize("bits", [0.0, -1.0, float("nan"), float("inf")])
def test_no_budget(folder: Path, bits: float, tmp_path: Path) -> None:
    with pytest.raises(subbit.UsageError, match="a budget of"):
        subbit.compress(folder, tmp_path / "m.sbit", file_bits=bits)
    assert not list(tmp_path.iterdir())
