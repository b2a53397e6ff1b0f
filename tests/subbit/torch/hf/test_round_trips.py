"""Tiny random models of four families through from_pretrained and save_pretrained."""

from __future__ import annotations

import copy
import json
import os
from pathlib import Path
from typing import Any

import pytest
import torch

import subbit
from subbit.model.folder import write_folder
from subbit.torch.experts import PackedExperts
from subbit.torch.packed import SubbitLinear

os.environ.setdefault("HF_HUB_OFFLINE", "1")
transformers = pytest.importorskip("transformers")
hf = pytest.importorskip("subbit.torch.hf")

SIZES = {"vocab_size": 96, "hidden_size": 32, "num_hidden_layers": 2, "num_attention_heads": 4}
MODELS: dict[str, Any] = {
    "llama": lambda: transformers.LlamaForCausalLM(
        transformers.LlamaConfig(**SIZES, intermediate_size=64, num_key_value_heads=2, tie_word_embeddings=True)
    ),
    "mixtral": lambda: transformers.MixtralForCausalLM(
        transformers.MixtralConfig(**SIZES, intermediate_size=48, num_key_value_heads=2, num_local_experts=4)
    ),
    "gpt2": lambda: transformers.GPT2LMHeadModel(
        transformers.GPT2Config(vocab_size=96, n_embd=32, n_layer=2, n_head=4, n_positions=64)
    ),
    "bert": lambda: transformers.BertForMaskedLM(transformers.BertConfig(**SIZES, intermediate_size=64)),
}
AUTO = {"bert": "AutoModelForMaskedLM"}


def logits(model: Any) -> torch.Tensor:
    with torch.no_grad():
        found: torch.Tensor = model.eval()(torch.arange(2, 26)[None]).logits
    return found


def load(kind: str, folder: Path, **options: Any) -> Any:
    return getattr(transformers, AUTO.get(kind, "AutoModelForCausalLM")).from_pretrained(folder, **options)


@pytest.fixture(scope="module", params=list(MODELS))
def kind(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture(scope="module")
def dense(kind: str, tmp_path_factory: pytest.TempPathFactory) -> Path:
    torch.manual_seed(0)
    folder = tmp_path_factory.mktemp(kind) / "dense"
    MODELS[kind]().save_pretrained(folder)
    return folder


@pytest.fixture(scope="module")
def folder(dense: Path) -> Path:
    """The dense model compressed by `compress`, and made a folder."""
    subbit.compress(dense, dense.parent / "model.sbit", bits=2.0, profile="speed")
    return write_folder(dense.parent / "model.sbit", dense.parent / "folder")


def test_a_folder_computes_what_its_weights_do(kind: str, dense: Path, folder: Path, tmp_path: Path) -> None:
    subbit.decompress(folder / "model.sbit", tmp_path / "model.safetensors")
    (tmp_path / "config.json").write_bytes((dense / "config.json").read_bytes())
    expected = logits(load(kind, tmp_path))
    config = transformers.AutoConfig.from_pretrained(folder)
    config.quantization_config["packed"] = False
    assert torch.equal(logits(load(kind, folder, config=config)), expected)
    packed = load(kind, folder)
    torch.testing.assert_close(logits(packed), expected, rtol=1e-3, atol=1e-4)
    layers = [name for name, module in packed.named_modules() if isinstance(module, SubbitLinear)]
    assert bool(layers) == (kind != "gpt2")  # which has Conv1D in place of linear layers
    experts = [name for name, module in packed.named_modules() if isinstance(module, PackedExperts)]
    assert len(experts) == (4 if kind == "mixtral" else 0)


@pytest.mark.parametrize("shard", ["50GB", "8KB"])
def test_saved_and_loaded_it_is_the_same_to_the_bit(
    kind: str, dense: Path, folder: Path, tmp_path: Path, shard: str
) -> None:
    model = load(kind, folder)
    model.save_pretrained(tmp_path, max_shard_size=shard)
    assert bool(list(tmp_path.glob("*-of-*.sbit"))) == (shard == "8KB")
    again = load(kind, tmp_path)
    assert torch.equal(logits(again), logits(model))
    assert subbit.verify(tmp_path, against=dense).errors == subbit.verify(folder, against=dense).errors
    with subbit.open(folder) as old, subbit.open(tmp_path) as new:
        assert dict(new.aliases) == dict(old.aliases)
        assert {name: bytes(b"".join(old[name].encoded.sections.values())) for name in old} == {
            name: bytes(b"".join(new[name].encoded.sections.values())) for name in new
        }


def test_codes_that_multiply_slowly_stay_packed_by_choice_only(kind: str, dense: Path, tmp_path: Path) -> None:
    if kind != "llama":
        pytest.skip("it is a matter of codecs")
    plan = subbit.plan(dense, bits=3.0).using("model.layers.*", subbit.DeadZone(2.0))
    subbit.compress(dense, tmp_path / "m.sbit", plan=plan)
    folder = write_folder(tmp_path / "m.sbit", tmp_path / "folder")
    config = transformers.AutoConfig.from_pretrained(folder)
    config.quantization_config["packed"] = True
    models = [load(kind, folder), load(kind, folder, config=config)]
    counts = [sum(isinstance(module, SubbitLinear) for module in model.modules()) for model in models]
    assert counts == [0, 14]


def test_a_dense_model_is_compressed_while_it_is_loaded(kind: str, dense: Path, tmp_path: Path) -> None:
    model = load(kind, dense, quantization_config=hf.SubbitConfig(bits=2.0))
    assert not torch.equal(logits(model), logits(load(kind, dense)))
    model.save_pretrained(tmp_path)
    again = load(kind, tmp_path)
    assert torch.equal(logits(again), logits(model))
    with subbit.open(tmp_path / "model.sbit") as file:
        assert 1.2 < file.coded_bits_per_weight <= 2.0


def test_dequantized_it_is_an_ordinary_model(kind: str, folder: Path, tmp_path: Path) -> None:
    model = load(kind, folder)
    packed = logits(model)
    plain = model.dequantize()
    assert not any(isinstance(module, (SubbitLinear, PackedExperts)) for module in plain.modules())
    torch.testing.assert_close(logits(plain), packed, rtol=1e-3, atol=1e-4)
    plain.save_pretrained(tmp_path)
    assert "quantization_config" not in json.loads((tmp_path / "config.json").read_text())
    assert torch.equal(logits(load(kind, tmp_path)), logits(plain))


def test_bfloat16_and_generation(kind: str, folder: Path, tmp_path: Path) -> None:
    model = load(kind, folder, dtype=torch.bfloat16)
    assert {parameter.dtype for parameter in model.parameters()} == {torch.bfloat16}
    if kind != "bert":
        text = model.generate(torch.arange(2, 8)[None], max_new_tokens=5, do_sample=False)
        assert text.shape == (1, 11)
    model.save_pretrained(tmp_path)
    assert torch.equal(logits(load(kind, tmp_path, dtype=torch.bfloat16)), logits(model))
    with subbit.open(folder / "model.sbit") as old, subbit.open(tmp_path / "model.sbit") as new:
        assert {name: new[name].codec for name in new} == {name: old[name].codec for name in old}


def test_what_was_trained_since_is_saved(kind: str, folder: Path, tmp_path: Path) -> None:
    model = load(kind, folder)
    with torch.no_grad():
        next(p for n, p in model.named_parameters() if "norm" in n.lower() or "ln_" in n).mul_(1.5)
    trained = copy.deepcopy(model)
    trained.save_pretrained(tmp_path)
    assert torch.equal(logits(load(kind, tmp_path)), logits(model))
    assert not torch.equal(logits(load(kind, folder)), logits(model))
