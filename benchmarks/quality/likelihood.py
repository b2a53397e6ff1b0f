"""Perplexity of a causal language model, and its divergence from the model that it was made of.

All in float32, one thread a window and windows side by side, so that sums have one order on any machine.
"""

from __future__ import annotations

import math
import os
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from typing import Any, NamedTuple

import torch
from torch import Tensor
from torch.nn import functional

__all__ = ["Teacher", "hidden_states", "likelihood"]


class Teacher(NamedTuple):
    """The model to compare with: last hidden states, (windows, length, width), and head, (vocabulary, width)."""

    hidden: Tensor
    head: Tensor


def likelihood(model: Any, windows: Tensor, teacher: Teacher) -> dict[str, float]:
    """Over all tokens but the first of each window: perplexity, and mean KL(teacher ‖ model) in nats a token."""

    def of(index: int) -> tuple[float, float]:
        tokens = windows[index]
        own = functional.log_softmax(model(tokens[None]).logits[0, :-1].float(), dim=-1)
        their = functional.log_softmax(teacher.hidden[index, :-1] @ teacher.head.T, dim=-1)
        surprise = functional.nll_loss(own, tokens[1:], reduction="sum")
        return surprise.item(), functional.kl_div(own, their, reduction="sum", log_target=True).item()

    surprises, divergences = zip(*side_by_side(of, range(len(windows))), strict=True)
    predicted = windows[:, 1:].numel()
    return {
        "perplexity": math.exp(math.fsum(surprises) / predicted),
        "kl": math.fsum(divergences) / predicted,
        "tokens": predicted,
    }


def hidden_states(model: Any, windows: Tensor) -> Tensor:
    """What the head of a transformers model reads, (windows, length, width)."""
    return torch.cat(side_by_side(lambda index: model.model(windows[index][None])[0], range(len(windows))))


def side_by_side(work: Callable[[int], Any], items: Iterable[int]) -> list[Any]:
    """Results in order, from as many threads as there are cores; torch gets one core in each."""

    def alone(item: int) -> Any:
        torch.set_num_threads(1)
        with torch.inference_mode():
            return work(item)

    with ThreadPoolExecutor(os.cpu_count() or 1) as pool:
        return list(pool.map(alone, items))
