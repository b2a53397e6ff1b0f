"""From a checkpoint and a text to a file, in one call: small real transformers with a tokenizer trained here."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pytest
import torch

import subbit
from subbit.model.job import Job
from subbit.model.statistics import Statistics
from subbit.planning import Rule
from subbit.torch import calibrate_checkpoint, compress_calibrated, load_model
from subbit.torch.calibration import checkpoint as calibrating
from subbit.torch.calibration.checkpoint import token_windows

os.environ.setdefault("HF_HUB_OFFLINE", "1")
transformers = pytest.importorskip("transformers")
tokenizers = pytest.importorskip("tokenizers")

WORDS = ["one", "bit", "a", "weight", "is", "less", "than", "two", "and", "more", "none", "of", "them", "so"]
TEXT = " ".join(WORDS[k * k % 7 + k % 8 - k % 2] for k in range(4000))
SIZE: dict[str, Any] = {"tokens": 512, "window": 32}
PLANNED: dict[str, Any] = SIZE | {"plan": subbit.Plan((Rule("*", subbit.DeadZone(2.0)),))}


def model(tied: bool) -> Any:
    torch.manual_seed(0)
    config = transformers.LlamaConfig(
        vocab_size=96, hidden_size=48, intermediate_size=80, num_hidden_layers=2, num_attention_heads=4,
        num_key_value_heads=2, tie_word_embeddings=tied, initializer_range=0.3, bos_token_id=1, eos_token_id=2,
    )  # fmt: skip
    made = transformers.LlamaForCausalLM(config).eval()
    for parameter in made.parameters():
        if parameter.ndim == 2:
            parameter.data.mul_(torch.exp(0.7 * torch.randn(parameter.shape[1])))
    return made


def gpt2() -> Any:
    torch.manual_seed(0)
    config = transformers.GPT2Config(
        vocab_size=96, n_embd=48, n_layer=2, n_head=4, n_positions=64, initializer_range=0.2
    )
    return transformers.GPT2LMHeadModel(config).eval()


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Folders of three models, and their text."""
    home = tmp_path_factory.mktemp("calibrated")
    made = tokenizers.Tokenizer(tokenizers.models.BPE())
    made.pre_tokenizer = tokenizers.pre_tokenizers.ByteLevel()
    made.train_from_iterator([TEXT], tokenizers.trainers.BpeTrainer(vocab_size=64))
    for name, built in (("tied", model(True)), ("untied", model(False)), ("gpt2", gpt2())):
        built.save_pretrained(home / name)
        made.save(str(home / name / "tokenizer.json"))
    (home / "text.txt").write_text(TEXT)
    return home


def divergence(home: Path, folder: str, path: Path) -> float:
    """KL of the file's model to the original on the text, nats a token."""
    ids = token_windows(home / folder, home / "text.txt", tokens=1024, window=64)
    original = getattr(transformers, {"gpt2": "GPT2LMHeadModel"}.get(folder, "LlamaForCausalLM"))
    with torch.no_grad():
        right = original.from_pretrained(home / folder)(ids).logits.log_softmax(-1)
        found = load_model(path, dtype="float32")(ids).logits.log_softmax(-1)
    return float((right.exp() * (right - found)).sum(-1).mean())


@pytest.mark.parametrize("folder", ["tied", "gpt2"])
def test_what_the_text_says_is_worth_it(home: Path, folder: str, tmp_path: Path) -> None:
    plain = subbit.compress(home / folder, tmp_path / "plain.sbit", bits=2.0)
    report = compress_calibrated(home / folder, tmp_path / "m.sbit", text=home / "text.txt", bits=2.0, **SIZE)
    assert report.coded_bits_per_weight <= 2.0
    assert report.provenance["tokens"] == "512"
    assert report.warning is None
    assert plain.warning is not None
    assert divergence(home, folder, report.path) < 0.8 * divergence(home, folder, plain.path)


def test_the_windows_are_made_once_and_statistics_serve_again(
    home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = []

    def counted(*args: Any) -> torch.Tensor:
        made.append(1)
        return windows(*args)

    windows = calibrating.windows
    monkeypatch.setattr(calibrating, "windows", counted)
    one = compress_calibrated(home / "untied", tmp_path / "1.sbit", text=home / "text.txt", fisher=False, **PLANNED)
    assert len(made) == 1
    known = calibrate_checkpoint(home / "untied", home / "text.txt", fisher=False, **SIZE)
    two = compress_calibrated(home / "untied", tmp_path / "2.sbit", text=home / "text.txt", statistics=known, **PLANNED)
    assert one.path.read_bytes() == two.path.read_bytes()


def test_blocks_come_in_the_order_of_the_model(home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    added: list[str] = []
    add = Job.add

    def noted(job: Job, name: str, *rest: Any) -> Any:
        added.append(name)
        return add(job, name, *rest)

    monkeypatch.setattr(Job, "add", noted)
    compress_calibrated(home / "tied", tmp_path / "m.sbit", text=home / "text.txt", fisher=False, **PLANNED)
    found = [name.removeprefix("model.layers.").removesuffix(".weight") for name in added if ".layers." in name]
    order = ["q_proj", "k_proj", "v_proj", "o_proj", "gate_proj", "up_proj", "down_proj"]
    assert [name.rpartition(".")[2] for name in found[:14]] == order * 2
    assert [name[0] for name in found[:14]] == ["0"] * 7 + ["1"] * 7
    added.clear()
    compress_calibrated(
        home / "tied", tmp_path / "n.sbit", text=home / "text.txt", fisher=False, sequential=False, **PLANNED
    )
    assert added == sorted(added)


@pytest.mark.parametrize("folder", ["tied", "untied"])
def test_a_budget_for_the_file_with_its_embedding(home: Path, folder: str, tmp_path: Path) -> None:
    report = compress_calibrated(home / folder, tmp_path / "m.sbit", text=home / "text.txt", file_bits=4.0, **SIZE)
    assert 0.93 * 4 < report.bits_per_weight <= 4.0  # a file of 30 KB: container bytes are bounded, not known
    (row,) = (row for row in report.tensors if "embed_tokens" in row.name)
    assert row.covered
    assert row.weighed
    assert load_model(report.path, dtype="float32")(torch.tensor([[1, 2]])).logits.isfinite().all()


def test_text_that_the_model_writes_and_healing_on_it(home: Path, tmp_path: Path) -> None:
    report = compress_calibrated(home / "tied", tmp_path / "m.sbit", text="self", heal_minutes=0.02, **PLANNED)
    assert report.provenance["text"] == "self"
    assert report.healing is not None
    assert report.healing.after.loss <= report.healing.before.loss
    assert report.file_bytes == report.path.stat().st_size
    assert report.to_dict()["healing"]["steps"] == report.healing.steps
    assert [path.name for path in tmp_path.iterdir()] == ["m.sbit"]


def test_an_output_that_exists_is_refused_before_the_work(home: Path, tmp_path: Path) -> None:
    (tmp_path / "m.sbit").write_bytes(b"mine")
    with pytest.raises(subbit.UsageError, match="exists already"):
        compress_calibrated(home / "tied", tmp_path / "m.sbit", text=tmp_path / "absent.txt")
    with pytest.raises(subbit.UsageError, match="budget"):
        compress_calibrated(home / "tied", tmp_path / "n.sbit", text=tmp_path / "absent.txt", bits=-1)
    with pytest.raises(subbit.UsageError, match="no tensor fits"):
        compress_calibrated(home / "tied", tmp_path / "n.sbit", text=tmp_path / "absent.txt", keep=["absent"])
    with pytest.raises(subbit.SubbitError, match=r"absent\.txt: No such file"):
        compress_calibrated(home / "tied", tmp_path / "n.sbit", text=tmp_path / "absent.txt")
    assert {path.name: path.read_bytes() for path in tmp_path.iterdir()} == {"m.sbit": b"mine"}


def test_texts_and_windows_that_do_not_serve(home: Path, tmp_path: Path) -> None:
    (tmp_path / "short.txt").write_text(TEXT[:2000])
    to = tmp_path / "m.sbit"
    with pytest.raises(subbit.SubbitError, match=r"487 tokens, and 24,576 are needed.*--tokens 512"):
        compress_calibrated(home / "tied", to, text=tmp_path / "short.txt")
    with pytest.raises(subbit.SubbitError, match="2,048 are needed"):  # to heal on, said before the work
        compress_calibrated(home / "tied", to, text=tmp_path / "short.txt", heal_minutes=1, tokens=64, window=32)
    with pytest.raises(subbit.SubbitError, match=r"at least 4 windows.*--tokens 128"):
        compress_calibrated(home / "tied", to, text="self", heal_minutes=1, tokens=64, window=32)
    with pytest.raises(subbit.UsageError, match=r"reads at most 64.*--window 64"):
        compress_calibrated(home / "gpt2", to, text=home / "text.txt")
    with pytest.raises(subbit.UsageError, match="stands for itself"):
        compress_calibrated(home / "tied", to, text="self", heal_minutes=1, shard_bytes=10**6)
    assert [path.name for path in tmp_path.iterdir()] == ["short.txt"]


def test_statistics_of_another_model(home: Path, tmp_path: Path) -> None:
    other = calibrate_checkpoint(home / "untied", home / "text.txt", fisher=False, **SIZE)
    other.save(tmp_path / "s.safetensors")
    known = Statistics.load(tmp_path / "s.safetensors")
    with pytest.raises(subbit.SubbitError, match="another model") as caught:
        compress_calibrated(home / "tied", tmp_path / "m.sbit", text=home / "text.txt", statistics=known, **SIZE)
    assert caught.value.path == str(tmp_path / "s.safetensors")
    with pytest.raises(subbit.SubbitError, match="another model"):
        subbit.plan(home / "gpt2", importance=known)
