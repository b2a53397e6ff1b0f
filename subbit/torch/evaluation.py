"""How well compressed language models predict a text, beside the model that they were made of."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from os import PathLike
from pathlib import Path
from typing import Any, NamedTuple

import torch

from subbit.errors import SubbitError, UsageError
from subbit.model import open_file
from subbit.torch.calibration.loading import load_pretrained, open_weights
from subbit.torch.calibration.texts import windows

__all__ = ["NO_TOKENIZER", "Estimate", "Evaluation", "Row", "evaluate", "stored_size"]

NO_TOKENIZER = "compress the model's folder, or a GGUF file, with its tokenizer"

_FEWEST = 2
"""Windows: from one alone no interval can be told."""
_NORMAL = 1.96


class Estimate(NamedTuple):
    """A figure and the ends of its 95 % confidence interval, from how much it differs between windows."""

    value: float
    low: float
    high: float


@dataclass(frozen=True)
class Row:
    """One model: its size, and what it makes of the text; the last three are None without an original, or for it.

    `times` is its perplexity divided by the original's, `kl` KL(original ‖ model) in nats a token, `agreement` the
    share of positions where both think the same token the likeliest.
    """

    path: Path
    bytes: int
    bits_per_weight: float
    coded_bits_per_weight: float | None
    perplexity: Estimate
    times: Estimate | None = None
    kl: Estimate | None = None
    agreement: Estimate | None = None


@dataclass(frozen=True)
class Evaluation:
    """The original first, if there is one, then the files in the order in which they were given."""

    text: Path
    tokens: int
    window: int
    rows: tuple[Row, ...]

    def to_dict(self) -> dict[str, Any]:
        """Plain JSON values, version 1."""
        rows = [{**asdict(row), "path": str(row.path)} for row in self.rows]
        return {"version": 1, "text": str(self.text), "tokens": self.tokens, "window": self.window, "rows": rows}


def evaluate(
    files: Sequence[str | PathLike[str]],
    text: str | PathLike[str],
    original: str | PathLike[str] | None = None,
    *,
    tokens: int = 8192,
    window: int = 512,
    progress: Callable[[int, int, str], None] | None = None,
) -> Evaluation:
    """Let every model predict the same windows of a text, all tokens of a window but the first.

    `files` are `.sbit` files with configuration and tokenizer, or anything that :func:`subbit.compress` takes;
    `original` is what they were made of, which adds perplexity as a multiple of its own, divergence from it, and
    agreement on the next token. `tokens` in windows of `window` are spread evenly over the text. Models are decoded to
    float32 and stay in memory together. Raises :class:`SubbitError` for a text that is empty, binary or too short
    (kind "text"), models whose tokenizers or vocabularies differ (kind "tokenizer"), and all that loading raises.
    """
    if tokens < _FEWEST * window:
        raise UsageError(f"{tokens} tokens are too few", kind="text", hint=f"at least {_FEWEST} windows of {window}")
    paths = [Path(path) for path in ([] if original is None else [original]) + list(files)]
    models, tokenizer, batches = [], None, None
    for path in paths:
        model, own = load_pretrained(path)
        if own is None:
            raise SubbitError("carries no tokenizer.json", kind="tokenizer", path=path, hint=NO_TOKENIZER)
        if tokenizer is None:
            tokenizer, batches = own, windows(text, own, tokens, window)
        elif own.get_vocab() != tokenizer.get_vocab():
            hint = "evaluate models of one family together"
            raise SubbitError(f"has another tokenizer than {paths[0]}", kind="tokenizer", path=path, hint=hint)
        models.append(model)
    assert batches is not None
    measured: list[list[torch.Tensor]] = [[] for _ in models]
    for done, batch in enumerate(batches):
        if progress is not None:
            progress(done, len(batches), "windows")
        expected = None
        for model, found in zip(models, measured, strict=True):
            own_chances = _log_chances(model, batch)
            found.append(_compared(own_chances, batch[1:], expected))
            expected = own_chances if original is not None and expected is None else expected
    figures = [torch.stack(found) for found in measured]
    rows = [_row(path, own, figures[0] if original is not None and k else None) for k, (path, own) in
            enumerate(zip(paths, figures, strict=True))]  # fmt: skip
    return Evaluation(Path(text), len(batches) * (window - 1), window, tuple(rows))


def _log_chances(model: Any, tokens: torch.Tensor) -> torch.Tensor:
    """Logarithms of the chances of the next token at every position but the last, (window - 1, vocabulary)."""
    with torch.inference_mode():
        chances: torch.Tensor = model(input_ids=tokens[None]).logits[0, :-1].float().log_softmax(-1)
    return chances


def _compared(own: torch.Tensor, following: torch.Tensor, expected: torch.Tensor | None) -> torch.Tensor:
    """Means over one window: surprise in nats, and KL and agreement with what is expected (0 and 1 without)."""
    surprise = -own.gather(1, following[:, None]).mean(dtype=torch.float64)
    if expected is None:
        return torch.stack([surprise, surprise.new_zeros(()), surprise.new_ones(())])
    kl = ((expected - own) * expected.exp()).sum(-1).mean(dtype=torch.float64)
    same = (own.argmax(-1) == expected.argmax(-1)).to(torch.float64).mean()
    return torch.stack([surprise, kl, same])


def _row(path: Path, own: torch.Tensor, original: torch.Tensor | None) -> Row:
    size, bits, coded = stored_size(path)
    perplexity = _exponential(_estimate(own[:, 0]))
    if original is None:
        return Row(path, size, bits, coded, perplexity)
    times = _exponential(_estimate(own[:, 0] - original[:, 0]))
    return Row(path, size, bits, coded, perplexity, times, _estimate(own[:, 1]), _estimate(own[:, 2]))


def _estimate(windows: torch.Tensor) -> Estimate:
    mean = windows.mean().item()
    margin = _NORMAL * windows.std().item() / math.sqrt(len(windows))
    return Estimate(mean, mean - margin, mean + margin)


def _exponential(estimate: Estimate) -> Estimate:
    return Estimate(*(math.exp(min(end, 700.0)) for end in estimate))


def stored_size(path: Path) -> tuple[int, float, float | None]:
    """Bytes of the files that hold the weights, bits a weight over all of them, and over the coded ones."""
    with open_weights(path) as source:
        if source.kind == "sbit":
            with open_file(path) as file:
                return file.archive.size, file.bits_per_weight, file.coded_bits_per_weight
        parts = {tensor.path for tensor in source.values() if tensor.path is not None}
        size = sum(part.stat().st_size for part in parts)
        return size, 8 * size / max(1, sum(math.prod(tensor.shape) for tensor in source.values())), None
