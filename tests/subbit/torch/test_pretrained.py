from __future__ import annotations

import json
import os
import sys
import threading
from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file

import subbit
from subbit.torch import SubbitLinear, load_model, load_tokenizer, state_dict
from subbit.torch.pretrained import build

os.environ.setdefault("HF_HUB_OFFLINE", "1")
transformers = pytest.importorskip("transformers")
tokenizers = pytest.importorskip("tokenizers")


def tiny(tied: bool) -> torch.nn.Module:
    torch.manual_seed(0)
    config = transformers.LlamaConfig(
        vocab_size=48, hidden_size=32, intermediate_size=40, num_hidden_layers=2, num_attention_heads=4,
        num_key_value_heads=2, tie_word_embeddings=tied, rope_theta=500.0,
    )  # fmt: skip
    return transformers.LlamaForCausalLM(config).eval()


def logits(model: torch.nn.Module) -> torch.Tensor:
    with torch.no_grad():
        return model(torch.arange(20)[None]).logits


def compressed(model: torch.nn.Module, folder: Path) -> Path:
    model.save_pretrained(folder / "model")
    words = tokenizers.models.WordLevel({"one": 0, "bit": 1, "?": 2}, unk_token="?")
    tokenizers.Tokenizer(words).save(str(folder / "model" / "tokenizer.json"))
    subbit.compress(folder / "model", folder / "model.sbit", bits=3)
    return folder / "model.sbit"


@pytest.fixture(scope="module")
def stored(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return compressed(tiny(tied=True), tmp_path_factory.mktemp("tied"))


def test_a_folder_comes_back_as_its_model(stored: Path) -> None:
    model = load_model(stored)
    assert isinstance(model, transformers.LlamaForCausalLM)
    assert not model.training
    assert model.lm_head.weight is model.model.embed_tokens.weight
    expected = tiny(tied=True)
    expected.load_state_dict(state_dict(stored), strict=False)
    assert torch.equal(logits(model), logits(expected))
    assert not torch.equal(logits(model), logits(tiny(tied=True)))


def test_a_packed_model_writes_the_same(stored: Path) -> None:
    model, packed = load_model(stored), load_model(stored, packed=True)
    kept = [module for module in packed.modules() if isinstance(module, SubbitLinear)]
    assert len(kept) == 14  # all but the head, which is tied to the embedding
    assert torch.allclose(logits(packed), logits(model), rtol=1e-3, atol=1e-4)
    prompt = torch.arange(5)[None]
    written = [each.generate(prompt, max_new_tokens=6, do_sample=False) for each in (model, packed)]
    assert torch.equal(*written)


def test_an_untied_model(tmp_path: Path) -> None:
    path = compressed(tiny(tied=False), tmp_path)
    expected = tiny(tied=False)
    expected.load_state_dict(state_dict(path))
    assert torch.equal(logits(load_model(path)), logits(expected))


def test_dtype_is_for_parameters_and_not_for_rotary_buffers(stored: Path) -> None:
    model = load_model(stored, dtype="bfloat16")
    assert {parameter.dtype for parameter in model.parameters()} == {torch.bfloat16}
    assert torch.equal(model.model.rotary_emb.inv_freq, tiny(tied=True).model.rotary_emb.inv_freq)
    assert torch.get_default_dtype() == torch.float32
    with pytest.raises(subbit.SubbitError, match="int8"):
        load_model(stored, dtype=torch.int8)


def test_what_another_thread_builds_meanwhile_has_memory(stored: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    built = []
    module = transformers.LlamaForCausalLM
    begin = module.__init__

    def meanwhile(self: torch.nn.Module, config: object) -> None:
        thread = threading.Thread(target=lambda: built.append(torch.nn.Linear(2, 2)))
        thread.start()
        thread.join()
        begin(self, config)

    monkeypatch.setattr(module, "__init__", meanwhile)
    load_model(stored)
    assert not built[0].weight.is_meta


def test_a_given_module_is_filled_and_returned(stored: Path) -> None:
    model = tiny(tied=True).train()
    assert load_model(stored, model) is model
    assert not model.training
    assert torch.equal(logits(model), logits(load_model(stored)))


def test_tokenizer(stored: Path) -> None:
    assert load_tokenizer(stored).encode(["one", "bit"], is_pretokenized=True).ids == [0, 1]


def test_without_configuration_or_tokenizer(tmp_path: Path) -> None:
    subbit.compress({"w": torch.ones(4).numpy()}, tmp_path / "m.sbit")
    for load, name in ((load_model, "config.json"), (load_tokenizer, "tokenizer.json")):
        with pytest.raises(subbit.SubbitError, match=name) as caught:
            load(tmp_path / "m.sbit")
        assert caught.value.kind == "extra"
        assert caught.value.path is not None


@pytest.mark.parametrize(
    ("config", "kind"),
    [
        ("{", "config"),
        ("[]", "config"),
        ('{"architectures": ["Nothing"]}', "architecture"),
        ("{}", "architecture"),
        ('{"architectures": 5}', "architecture"),
        ('{"architectures": [["LlamaForCausalLM"]]}', "architecture"),
        ('{"architectures": ["AutoTokenizer"]}', "architecture"),
        ('{"architectures": ["AutoModel"]}', "architecture"),
        ('{"architectures": ["LlamaForCausalLM"], "hidden_size": -1}', "config"),
        ('{"architectures": ["LlamaForCausalLM"], "hidden_size": [1]}', "config"),
        ('{"architectures": ["LlamaForCausalLM"], "dtype": ["float32"]}', "dtype"),
    ],
)
def test_a_configuration_that_names_no_model(tmp_path: Path, config: str, kind: str) -> None:
    save_file({"w": torch.ones(4)}, tmp_path / "model.safetensors")
    (tmp_path / "config.json").write_text(config)
    subbit.compress(tmp_path, tmp_path / "m.sbit")
    with pytest.raises(subbit.SubbitError) as caught:
        load_model(tmp_path / "m.sbit")
    assert caught.value.kind == kind


@pytest.mark.parametrize("key", ["attn_implementation", "_attn_implementation", "_attn_implementation_internal"])
def test_a_configuration_names_no_code(stored: Path, key: str, monkeypatch: pytest.MonkeyPatch) -> None:
    fetched = []
    for module in ("integrations.hub_kernels", "modeling_utils", "modeling_flash_attention_utils"):
        for name in ("get_kernel", "load_and_register_attn_kernel", "lazy_import_flash_attention"):
            where = f"transformers.{module}.{name}"
            monkeypatch.setattr(where, lambda *_, **__: fetched.append(1), raising=False)
    config = json.loads((stored.parent / "model" / "config.json").read_text())
    evil = {key: "someone/code@main:run", "auto_map": {"AutoConfig": "someone/code--config.Config"}}
    model = build(config | evil | {"other": {"inner": evil}, "layers": [evil]})
    assert not fetched
    assert model.config._attn_implementation in ("sdpa", "eager")
    assert "someone/code" not in model.config.to_json_string()


def test_missing_package_names_the_command(stored: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "transformers", None)
    with pytest.raises(subbit.SubbitError) as caught:
        load_model(stored)
    assert caught.value.kind == "package"
    assert 'pip install "subbit[hf]"' in str(caught.value)
