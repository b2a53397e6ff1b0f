"""A character language model that trains in a minute on one CPU thread, and the text it learns."""

from __future__ import annotations

import math
import pydoc_data.topics
from collections.abc import Iterator
from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional

__all__ = ["CharLM", "Text", "batches", "nats", "text"]

WIDTH, LAYERS, HEAD, CONTEXT, SYMBOLS = 128, 2, 32, 128, 128
_AT_ONCE = 64


class Block(nn.Module):
    """Causal attention in heads of 32 and a two-layer perceptron, each behind a LayerNorm and beside a residual."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.attn_norm, self.mlp_norm = nn.LayerNorm(width), nn.LayerNorm(width)
        self.qkv, self.out = nn.Linear(width, 3 * width), nn.Linear(width, width)
        self.up, self.down = nn.Linear(width, 4 * width), nn.Linear(4 * width, width)

    def forward(self, x: Tensor) -> Tensor:
        """(batch, length, width) to the same."""
        q, k, v = self.qkv(self.attn_norm(x)).unflatten(-1, (3, -1, HEAD)).permute(2, 0, 3, 1, 4)
        mixed = functional.scaled_dot_product_attention(q, k, v, is_causal=True)
        x = x + self.out(mixed.transpose(1, 2).flatten(2))
        moved: Tensor = self.down(functional.gelu(self.up(self.mlp_norm(x))))
        return x + moved


class CharLM(nn.Module):
    """Two blocks (of width 128: 393,216 weights in eight matrices); the output head is the embedding.

    Matrices start normal with σ = `spread` / √fan_in.
    """

    def __init__(self, width: int = WIDTH, spread: float = 0.5) -> None:
        super().__init__()
        self.embed, self.pos_embed = nn.Embedding(SYMBOLS, width), nn.Embedding(CONTEXT, width)
        self.blocks = nn.ModuleList(Block(width) for _ in range(LAYERS))
        self.norm = nn.LayerNorm(width)
        for weight in self.parameters():
            if weight.ndim == 2:
                nn.init.normal_(weight, std=spread / math.sqrt(weight.shape[1]))

    def loss(self, windows: Tensor) -> Tensor:
        """Mean nats a character over windows of CONTEXT + 1."""
        x = self.embed(windows[:, :-1]) + self.pos_embed.weight
        for block in self.blocks:
            x = block(x)
        logits = self.norm(x) @ self.embed.weight.T
        return functional.cross_entropy(logits.flatten(0, 1), windows[:, 1:].flatten())


class Text(NamedTuple):
    """ASCII codes: the first eight tenths to train on, a tenth to choose by, a tenth that chooses nothing."""

    train: Tensor
    validation: Tensor
    test: Tensor


def text() -> Text:
    """Python's help topics in the order of their names, every paragraph once: topics quote one another."""
    topics = pydoc_data.topics.topics
    paragraphs = dict.fromkeys(part.strip("\n") for name in sorted(topics) for part in topics[name].split("\n\n"))
    codes = torch.tensor(list("\n\n".join(paragraphs).encode("ascii", "replace")))
    tenth = len(codes) // 10
    return Text(*codes.split([len(codes) - 2 * tenth, tenth, tenth]))


def batches(codes: Tensor, seed: int, steps: int, size: int) -> Iterator[Tensor]:
    """`steps` times `size` random windows of CONTEXT + 1, the same for the same seed."""
    generator = torch.Generator().manual_seed(seed)
    for _ in range(steps):
        starts = torch.randint(len(codes) - CONTEXT, (size, 1), generator=generator)
        yield codes[starts + torch.arange(CONTEXT + 1)]


@torch.no_grad()
def nats(model: CharLM, codes: Tensor) -> float:
    """Mean nats a character over all windows side by side; each starts without context."""
    windows = codes.unfold(0, CONTEXT + 1, CONTEXT)
    losses = [model.loss(part).item() * len(part) for part in windows.split(_AT_ONCE)]
    return sum(losses) / len(windows)
