"""Small models with weights large enough to matter, and tokens for them."""

from __future__ import annotations

import os

import pytest
import torch
from torch import nn

os.environ.setdefault("HF_HUB_OFFLINE", "1")
transformers = pytest.importorskip("transformers")

SMALL = {"vocab_size": 48, "hidden_size": 32, "intermediate_size": 40, "num_hidden_layers": 2, "num_attention_heads": 4}


def llama() -> nn.Module:
    return scaled(transformers.LlamaForCausalLM(transformers.LlamaConfig(**SMALL, num_key_value_heads=2)))


def gpt2() -> nn.Module:
    ends = {"bos_token_id": 1, "eos_token_id": 1}
    return scaled(
        transformers.GPT2LMHeadModel(transformers.GPT2Config(vocab_size=48, n_embd=32, n_layer=2, n_head=4, **ends))
    )


def bert() -> nn.Module:
    return scaled(transformers.BertModel(transformers.BertConfig(**SMALL)))


def mixtral(chosen: int = 2) -> nn.Module:
    options = {"num_key_value_heads": 2, "num_local_experts": 4, "num_experts_per_tok": chosen}
    config = transformers.MixtralConfig(**SMALL, **options)
    return scaled(transformers.MixtralForCausalLM(config))


def convolutions() -> nn.Module:
    torch.manual_seed(0)
    return nn.Sequential(
        nn.Conv2d(3, 8, 3, stride=2, padding=1), nn.ReLU(inplace=True), nn.Conv2d(8, 8, 3, groups=8, padding="same"),
        nn.BatchNorm2d(8), nn.Conv2d(8, 16, (1, 2), groups=2, dilation=2), nn.Flatten(2), nn.Conv1d(16, 6, 5, stride=3),
        nn.Flatten(), nn.LazyLinear(5),
    )  # fmt: skip


def scaled(model: nn.Module) -> nn.Module:
    """Larger weights than a fresh model has, so that its predictions depend on them."""
    generator = torch.Generator().manual_seed(0)
    with torch.no_grad():
        for parameter in model.parameters():
            if parameter.ndim > 1:
                parameter.copy_(torch.randn(parameter.shape, generator=generator) * 0.15)
    return model


def tokens(count: int = 3) -> list[torch.Tensor]:
    generator = torch.Generator().manual_seed(1)
    return [torch.randint(48, (4, 16), generator=generator) for _ in range(count)]
