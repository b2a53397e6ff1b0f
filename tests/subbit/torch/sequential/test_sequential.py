"""Compressing in the model's own order: small real transformers, compared with coding each weight for itself."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
import transformers

import subbit
from subbit.torch import load_model
from subbit.torch.sequential import Sequential
from subbit.torch.sequential.residual import writers

LLAMA = transformers.LlamaConfig(
    vocab_size=64, hidden_size=48, intermediate_size=80, num_hidden_layers=3, num_attention_heads=4,
    num_key_value_heads=2, tie_word_embeddings=True,
)  # fmt: skip
GPT2 = transformers.GPT2Config(vocab_size=64, n_embd=48, n_layer=2, n_head=4, n_positions=64)
BERT = transformers.BertConfig(
    vocab_size=64, hidden_size=48, num_hidden_layers=2, num_attention_heads=4, intermediate_size=80,
    max_position_embeddings=64,
)  # fmt: skip


def saved(folder: Path, config: Any, head: str) -> Any:
    """A random model with inputs that move together, in a folder."""
    torch.manual_seed(0)
    model = getattr(transformers, head)(config).eval()
    for parameter in model.parameters():
        if parameter.ndim == 2:
            parameter.data.mul_(torch.exp(0.7 * torch.randn(parameter.shape[1])) * 4)
    model.save_pretrained(folder)
    return model


def batches(count: int = 6) -> list[dict[str, torch.Tensor]]:
    torch.manual_seed(1)
    return [{"input_ids": torch.randint(64, (4, 32))} for _ in range(count)]


def hidden_error(model: Any, path: Path) -> float:
    """Relative error of the last hidden states on data that was not calibrated on."""
    coded = load_model(path, dtype="float32")
    ids = batches(8)[-1]
    with torch.no_grad():
        a, b = (m(**ids, output_hidden_states=True).hidden_states[-1] for m in (model, coded))
    return float((a - b).square().mean() / a.square().mean())


def compressed(folder: Path, name: str, driver: Any = None, statistics: Any = None, bits: float = 1.5) -> Path:
    path = folder / f"{name}.sbit"
    subbit.compress(folder, path, bits=bits, importance=statistics, driver=driver, embeddings=16)
    return path


@pytest.fixture
def statistics_of() -> Any:
    from subbit.torch.calibration.collect import calibrate

    return lambda model: calibrate(model, batches())


def test_each_rung_brings_the_outputs_nearer(tmp_path: Path, statistics_of: Any) -> None:
    model = saved(tmp_path, LLAMA, "LlamaForCausalLM")
    found = statistics_of(model)
    errors = {"plain": hidden_error(model, compressed(tmp_path, "plain"))}
    errors["curvature"] = hidden_error(model, compressed(tmp_path, "curvature", None, found))
    errors["sequential"] = hidden_error(model, compressed(tmp_path, "all", Sequential(batches(), found), found))
    assert errors["curvature"] < 0.9 * errors["plain"]
    assert errors["sequential"] < 0.9 * errors["curvature"]


@pytest.mark.parametrize(
    ("config", "head"),
    [(GPT2, "GPT2LMHeadModel"), (BERT, "BertForMaskedLM")],
    ids=["gpt2", "bert"],
)
def test_other_architectures(tmp_path: Path, statistics_of: Any, config: Any, head: str) -> None:
    model = saved(tmp_path, config, head)
    found = statistics_of(model)
    path = compressed(tmp_path, "all", Sequential(batches(), found), found, bits=2.0)
    with subbit.open(path) as file:
        assert file.coded_bits_per_weight <= 2.0
    assert hidden_error(model, path) < 0.6


def test_same_bytes_twice(tmp_path: Path, statistics_of: Any) -> None:
    found = statistics_of(saved(tmp_path, LLAMA, "LlamaForCausalLM"))
    one, two = (compressed(tmp_path, name, Sequential(batches(), found), found) for name in ("one", "two"))
    assert one.read_bytes() == two.read_bytes()


def test_residual_writers_are_found() -> None:
    torch.manual_seed(0)
    q, o, up, down = (torch.randn(2, 5, n) for n in (8, 8, 12, 8))
    before = torch.randn(2, 5, 8)
    outputs = {"q": q, "o": o, "up": up, "down": down}
    assert writers(before, before + o + down, outputs) == ["o", "down"]
    assert writers(before, torch.randn(2, 5, 8), outputs) == []
