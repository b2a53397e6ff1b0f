"""`--base`: a fine-tune as its parent and what differs, on the command line."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from safetensors.numpy import load_file

from tests.cli.process import save, subbit, weights


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """`parent.safetensors`, `tuned.safetensors` and the `tuned.sbit` of both."""
    folder = tmp_path_factory.mktemp("base")
    save(folder / "parent.safetensors")
    tensors = weights()
    tensors["layers.0.q.weight"] *= np.float32(1.01)
    save(folder / "tuned.safetensors", tensors)
    subbit("compress", "tuned.safetensors", "--base", "parent.safetensors", "--bits", "0.5", cwd=folder).ok()
    return folder


def test_round_trip(folder: Path) -> None:
    listed = subbit("inspect", "bits-per-weight", "tuned.sbit", "--json", cwd=folder).json()
    codecs = {t["name"]: t["codec"] for t in listed["tensors"]}
    assert (codecs.pop("layers.0.q.weight"), set(codecs.values())) == ("delta", {"same"})
    assert listed["coded"]["bits_per_weight"] <= 0.5
    subbit("decompress", "tuned.sbit", "--base", "parent.safetensors", "-o", "again.safetensors", cwd=folder).ok()
    tuned, again = load_file(folder / "tuned.safetensors"), load_file(folder / "again.safetensors")
    assert tuned.keys() == again.keys()
    assert all(np.array_equal(tuned[name], again[name]) for name in codecs)
    assert np.abs(tuned["layers.0.q.weight"] - again["layers.0.q.weight"]).max() < 0.001


def test_verify_compares_the_parent(folder: Path) -> None:
    assert "is whole" in subbit("verify", "tuned.sbit", cwd=folder).ok()
    assert "is whole" in subbit("verify", "tuned.sbit", "--base", "parent.safetensors", cwd=folder).ok()
    args = ("verify", "tuned.sbit", "--base", "parent.safetensors", "--against", "tuned.safetensors", "--json")
    errors = subbit(*args, cwd=folder).json()["errors"]
    assert 0 < errors.pop("layers.0.q.weight") < 1e-4
    assert set(errors.values()) == {0}
    error = subbit("verify", "tuned.sbit", "--base", "tuned.safetensors", cwd=folder).error()
    assert "tensor 'layers.0.q.weight': the parent's tensor has content hash" in error


def test_without_the_parent_the_error_says_what_to_pass(folder: Path) -> None:
    error = subbit("decompress", "tuned.sbit", "-o", "none.safetensors", cwd=folder).error()
    assert "needs its tensor of a parent checkpoint, content hash" in error
    assert "--base" in error
    assert "'parent.safetensors'" in error
    assert not (folder / "none.safetensors").exists()
    missing = subbit("decompress", "tuned.sbit", "--base", "no.safetensors", cwd=folder).error()
    assert missing.startswith("no.safetensors: no such file")


def test_signs_of_a_parent_need_one(folder: Path) -> None:
    error = subbit("compress", "tuned.safetensors", "--signs", "base", "--dry-run", cwd=folder).error(2)
    assert "pass the parent checkpoint: --base" in error
    args = ("compress", "tuned.safetensors", "--signs", "base", "--base", "parent.safetensors", "--dry-run")
    assert "base signs agree to 100" in subbit(*args, "--bits", "2", cwd=folder).ok()
