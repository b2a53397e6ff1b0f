"""Perplexity of a causal language model on text that every Python carries: the help topics of pydoc."""

from __future__ import annotations

import math
import pydoc_data.topics
from typing import Any

import torch

__all__ = ["WINDOW", "help_halves", "perplexity"]

WINDOW = 512
"""Tokens that the model sees at a time; every one but the first of a window is predicted."""

_WINDOWS_AT_ONCE = 2


def help_halves() -> tuple[str, str]:
    """English prose with some code, in two halves that share no paragraph: one to calibrate on, one to evaluate on.

    It differs a little from one Python version to the next.
    """
    topics = pydoc_data.topics.topics
    text = "\n\n".join(topics[name] for name in sorted(topics))
    paragraphs = list(dict.fromkeys(part.strip() for part in text.split("\n\n") if part.strip()))
    middle = len(paragraphs) // 2
    return "\n\n".join(paragraphs[:middle]), "\n\n".join(paragraphs[middle:])


def perplexity(model: Any, tokens: list[int]) -> float:
    """exp of the mean negative log likelihood over windows that do not overlap; a rest shorter than one is left out."""
    windows = torch.tensor(tokens[: len(tokens) // WINDOW * WINDOW]).view(-1, WINDOW)
    total = 0.0
    with torch.inference_mode():
        for start in range(0, len(windows), _WINDOWS_AT_ONCE):
            batch = windows[start : start + _WINDOWS_AT_ONCE]
            logits = model(batch).logits[:, :-1].float()
            loss = torch.nn.functional.cross_entropy(logits.flatten(0, 1), batch[:, 1:].flatten(), reduction="sum")
            total += loss.item()
    return math.exp(total / (windows.numel() - len(windows)))
