"""A tiny language model with a tokenizer, as a Hugging Face folder."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pytest

transformers = pytest.importorskip("transformers")
tokenizers = pytest.importorskip("tokenizers")
os.environ.setdefault("HF_HUB_OFFLINE", "1")

__all__ = ["TEXT", "save_tiny_llama"]

TEXT = "less than one bit a weight, and more than none of them; " * 40


def save_tiny_llama(home: Path, **config: Any) -> None:
    """Write `home/model`, a random Llama of two layers, and `home/text.txt`, which its tokenizer was trained on."""
    sizes = {"vocab_size": 64, "hidden_size": 32, "intermediate_size": 40, "num_hidden_layers": 2}
    settings = transformers.LlamaConfig(**{**sizes, "num_attention_heads": 4, **config})
    transformers.LlamaForCausalLM(settings).save_pretrained(home / "model")
    tokenizer = tokenizers.Tokenizer(tokenizers.models.BPE())
    tokenizer.pre_tokenizer = tokenizers.pre_tokenizers.ByteLevel()
    tokenizer.train_from_iterator([TEXT], tokenizers.trainers.BpeTrainer(vocab_size=64))
    tokenizer.save(str(home / "model" / "tokenizer.json"))
    (home / "text.txt").write_text(TEXT)
