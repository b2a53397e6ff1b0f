"""`subbit eval` on a tiny language model, its file, and worse files of it."""

from __future__ import annotations

import json
import math
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file

from subbit import compress
from subbit.errors import SubbitError, UsageError
from subbit.torch import evaluate
from subbit.torch.calibration.loading import load_pretrained
from subbit.torch.calibration.texts import windows
from subbit.torch.evaluation import stored_size
from tests.cli.process import subbit
from tests.tiny_llama import save_tiny_llama


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    home = tmp_path_factory.mktemp("eval")
    torch.manual_seed(0)
    save_tiny_llama(home)
    for bits in (6, 2):
        compress(home / "model", home / f"{bits}.sbit", bits=bits)
    return home


def test_files_beside_their_original(home: Path) -> None:
    options = ["--text", "text.txt", "--against", "model", "--tokens", "256", "--window", "32"]
    found = subbit("eval", "6.sbit", "2.sbit", *options, "--json", cwd=home).json()
    assert (found["version"], found["tokens"], found["window"]) == (1, 8 * 31, 32)
    shipped, fine, coarse = found["rows"]
    assert shipped["times"] is shipped["coded_bits_per_weight"] is None
    assert 32 <= shipped["bits_per_weight"] < 40
    assert 5 < fine["coded_bits_per_weight"] <= 6 < fine["bits_per_weight"]
    assert fine["bytes"] == (home / "6.sbit").stat().st_size
    for row in (fine, coarse):
        assert row["kl"][1] <= row["kl"][0] <= row["kl"][2]
        assert row["perplexity"][0] / shipped["perplexity"][0] == pytest.approx(row["times"][0])
    assert 0 <= fine["kl"][0] < coarse["kl"][0]
    assert fine["agreement"][0] > coarse["agreement"][0]
    text = subbit("eval", "6.sbit", "2.sbit", *options, cwd=home).ok()
    assert text.splitlines()[0].split() == ["file", "bits", "coded", "perplexity", "×", "original", "KL,", "nats",
                                            "same", "next", "token", "model"]  # fmt: skip
    assert text.endswith("248 tokens of text.txt\n")
    (home / "quality.json").write_text(json.dumps(found))
    subbit("folder", "6.sbit", "-o", "out", "--base-model", "some/llama", "--quality", "quality.json", cwd=home).ok()
    card = (home / "out" / "README.md").read_text(encoding="utf-8")
    assert 'base_model: "some/llama"' in card
    assert f"**{fine['bits_per_weight']:.3f} bits a weight** over the whole file" in card
    assert f"| 6.sbit | {fine['bits_per_weight']:.3f} | {fine['coded_bits_per_weight']:.3f} |" in card
    assert stored_size(home / "out")[0] == (home / "out" / "model.sbit").stat().st_size
    (home / "quality.json").write_text('{"version": 1}')
    refused = subbit("folder", "6.sbit", "-o", "none", "--quality", "quality.json", cwd=home).error()
    assert "subbit eval" in refused


def test_the_original_beside_itself_and_by_hand(home: Path) -> None:
    sizes = {"tokens": 64, "window": 32}
    (alone,) = evaluate([home / "model"], home / "text.txt", **sizes).rows
    original, same = evaluate([home / "model"], home / "text.txt", home / "model", **sizes).rows
    assert [estimate and estimate.value for estimate in (same.times, same.kl, same.agreement)] == [1, 0, 1]
    assert original == alone
    model, tokenizer = load_pretrained(home / "model")
    with torch.no_grad():
        parts = windows(home / "text.txt", tokenizer, 64, 32)
        losses = [model(part[None], labels=part[None]).loss.item() for part in parts]
    assert alone.perplexity.value == pytest.approx(math.exp(sum(losses) / 2), rel=1e-5)


def test_corrections_count(tmp_path: Path) -> None:
    save_tiny_llama(tmp_path)
    name, folder = "model.layers.1.mlp.up_proj.weight", tmp_path / "model"
    weights, factors = load_file(folder / "model.safetensors"), torch.randn(2, 40 + 32)
    save_file({**weights, name + ".correction": factors}, folder / "model.safetensors")
    compress(folder, tmp_path / "m.sbit", keep=["*"])
    model, _ = load_pretrained(tmp_path / "m.sbit")
    whole = weights[name] + factors[:, :40].T @ factors[:, 40:]
    torch.testing.assert_close(model.get_parameter(name).detach(), whole)


@pytest.mark.parametrize(
    ("content", "says"),
    [(b"", "0 tokens, and 64 are needed"), (b"\xff\xfe\x00\x01" * 400, "no UTF-8 text"), (b"short", "are needed")],
)
def test_texts_that_cannot_be_predicted(home: Path, content: bytes, says: str) -> None:
    (home / "bad.txt").write_bytes(content)
    with pytest.raises(SubbitError, match=says) as caught:
        evaluate([home / "6.sbit"], home / "bad.txt", tokens=64, window=32)
    assert caught.value.path == str(home / "bad.txt")


def test_one_window_is_too_few(home: Path) -> None:
    with pytest.raises(UsageError, match="at least 2 windows"):
        evaluate([home / "6.sbit"], home / "text.txt", tokens=32, window=32)


def test_a_model_with_another_tokenizer(home: Path, tmp_path: Path) -> None:
    save_tiny_llama(tmp_path)
    path = tmp_path / "model" / "tokenizer.json"
    path.write_text(path.read_text(encoding="utf-8").replace('"Ġ', '"ġ'), encoding="utf-8")
    with pytest.raises(SubbitError) as caught:
        evaluate([home / "6.sbit", tmp_path / "model"], home / "text.txt", tokens=64, window=32)
    assert caught.value.kind == "tokenizer"
