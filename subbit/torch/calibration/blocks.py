"""A model block by block: all data through one before the next is loaded, then gradients back the same way."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import nn

__all__ = ["Blocks", "block_list"]

_SHARE = 0.5


def block_list(model: Any) -> tuple[str, nn.ModuleList] | None:
    """The one list of equal blocks that holds most of a model's weights but lookups, by name; None where there is none.

    Models with an encoder and a decoder have two that depend on each other, and are not taken apart.
    """
    if getattr(getattr(model, "config", None), "is_encoder_decoder", False):
        return None
    total = sum(parameter.numel() for parameter in model.parameters()) - _lookups(model)
    for name, module in model.named_modules():
        if isinstance(module, nn.ModuleList) and len(module) > 1 and len({type(block) for block in module}) == 1:
            inside = sum(parameter.numel() for parameter in module.parameters())
            if inside >= _SHARE * total:
                return name, module
    return None


def _lookups(model: Any) -> int:
    """Weights of embeddings and the output head: they say nothing about where the layers are."""
    weights = [module.weight for module in model.modules() if isinstance(module, nn.Embedding)]
    head = model.get_output_embeddings() if hasattr(model, "get_output_embeddings") else None
    if head is not None:
        weights.append(head.weight)
    return sum({id(weight): weight.numel() for weight in weights}.values())


class _Done(Exception):  # noqa: N818 - no error: the block that was asked for has run
    """Leaves the model's forward pass with what a block returned."""

    def __init__(self, output: Any) -> None:
        super().__init__()
        self.output = output


@dataclass
class Blocks:
    """Runs single blocks of a model inside the model's own forward pass, which makes masks, positions and the head.

    Blocks before the one that is asked for let their input pass, so that they need no weights; the pass ends after it.
    Source of the idea, with the arguments of the first block kept instead: the GPTQ reference code, arXiv 2210.17323.
    """

    model: nn.Module
    blocks: nn.ModuleList
    _others: dict[int, tuple[Any, ...] | None] = field(default_factory=dict)

    def run(self, index: int, batch: Mapping[str, Any], hidden: torch.Tensor) -> torch.Tensor:
        """The hidden states after block `index`, from those before it."""
        output = self._until(index, batch, hidden)
        self._others[index] = output[1:] if isinstance(output, tuple) else None
        return _hidden(output)

    def head(self, batch: Mapping[str, Any], hidden: torch.Tensor) -> Any:
        """What the model makes of the hidden states after the last block."""
        with self._standing_in(len(self.blocks), hidden):
            return self.model(**batch)

    def first_input(self, batch: Mapping[str, Any]) -> torch.Tensor:
        """The hidden states that the first block gets."""
        return _hidden(self._until(-1, batch, None))

    def _until(self, index: int, batch: Mapping[str, Any], hidden: torch.Tensor | None) -> Any:
        try:
            with self._standing_in(index, hidden):
                self.model(**batch)
        except _Done as done:
            return done.output
        raise RuntimeError("the model did not run its blocks in order")

    @contextmanager
    def _standing_in(self, index: int, hidden: torch.Tensor | None) -> Iterator[None]:
        forwards = [block.forward for block in self.blocks]
        for k, block in enumerate(self.blocks):
            block.forward = self._stand_in(k, index, hidden, forwards[k])
        try:
            yield
        finally:
            for block in self.blocks:
                del block.forward

    def _stand_in(
        self, k: int, index: int, hidden: torch.Tensor | None, forward: Callable[..., Any]
    ) -> Callable[..., Any]:
        def run(*args: Any, **kwargs: Any) -> Any:
            own = args[0] if args else kwargs["hidden_states"]
            if index < 0:
                raise _Done(own)
            if k < index:
                given = own if k < len(self.blocks) - 1 else hidden
                others = self._others.get(k)
                return given if others is None else (given, *others)
            raise _Done(
                forward(hidden, *args[1:], **kwargs) if args else forward(**{**kwargs, "hidden_states": hidden})
            )

        return run


def _hidden(output: Any) -> torch.Tensor:
    found: torch.Tensor = output[0] if isinstance(output, tuple) else output
    return found
