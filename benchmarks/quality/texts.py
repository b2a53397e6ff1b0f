"""Two texts, each cut in halves that share nothing: one to calibrate on, one to evaluate on.

They lie beside the repository, in `../shared/data`, and not in it: WikiText-2 is CC BY-SA.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from benchmarks.peers.base import UnavailableError

__all__ = ["TEXTS", "WINDOW", "halves", "paragraphs", "windows"]

TEXTS = {"wikitext2": "wikitext2-valid.txt", "shakespeare": "tinyshakespeare.txt"}
WINDOW = 512
"""Tokens that a language model sees at a time."""

_FOLDER = Path(__file__).parent.parent.parent.parent / "shared" / "data"
_BREAKS = {"wikitext2": r"\n \n (?== [^=])", "shakespeare": r"\n\n"}
"""Where a text may be cut: between articles, between speeches."""


def halves(name: str) -> tuple[str, str]:
    """The part to calibrate on and the part to evaluate on, cut at the first break after the middle."""
    path = _FOLDER / TEXTS[name]
    if not path.exists():
        raise UnavailableError(f"no {TEXTS[name]} in ../shared/data beside the repository")
    return _cut(path.read_text("utf-8"), _BREAKS[name])


def _cut(text: str, pattern: str) -> tuple[str, str]:
    found = re.compile(pattern).search(text, len(text) // 2)
    place = found.end() if found else len(text) // 2
    return text[:place], text[place:]


def windows(text: str, tokenizer: Any, count: int) -> Tensor:
    """`count` windows of WINDOW tokens, (count, WINDOW), evenly spaced over the text; fewer of a short text."""
    tokens = torch.tensor(tokenizer.encode(text).ids)
    whole = len(tokens) // WINDOW
    count = min(count, whole)
    starts = [place * whole // count * WINDOW for place in range(count)]
    return torch.stack([tokens[start : start + WINDOW] for start in starts])


def paragraphs(text: str, count: int, words: int) -> list[tuple[str, str]]:
    """The first and second halves of `count` paragraphs of at least `words` words, evenly spaced over the text."""
    split = [part.split() for part in re.split(r"\n\s*\n|\n(?= )", text)]
    long = [part for part in split if len(part) >= words]
    count = min(count, len(long))
    chosen = [long[place * len(long) // count] for place in range(count)]
    return [(" ".join(part[: len(part) // 2]), " ".join(part[len(part) // 2 :])) for part in chosen]
