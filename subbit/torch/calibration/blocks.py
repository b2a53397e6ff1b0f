"""A model block by block: all data through one before the next is loaded, then gradients back the same way."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import torch
from torch import nn

from subbit.torch.precision import precision

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


class Blocks:
    """Runs single blocks of a model inside the model's own forward pass, which makes masks, positions and the head.

    Blocks before the one that is asked for let their input pass, so that they need no weights; the pass ends after it.
    Threads may each run their own. Matrices are multiplied in `dtype` (`precision`), hidden states stay float32. The
    model is no longer anybody else's: its blocks have other `forward` functions from now on. Source of the idea, with
    the arguments of the first block kept instead: the GPTQ reference code, arXiv 2210.17323.
    """

    def __init__(self, model: nn.Module, blocks: nn.ModuleList, dtype: torch.dtype | None = None) -> None:
        self.model, self.blocks, self.dtype = model, blocks, dtype
        self._others: dict[int, tuple[Any, ...] | None] = {}
        self._asked = _Asked()
        for k, block in enumerate(blocks):
            block.forward = self._stand_in(k, block.forward)

    def run(self, index: int, batch: Mapping[str, Any], hidden: torch.Tensor) -> torch.Tensor:
        """The hidden states after block `index`, from those before it."""
        output = self._until(index, batch, hidden)
        self._others[index] = output[1:] if isinstance(output, tuple) else None
        return _hidden(output).float()

    def head(self, batch: Mapping[str, Any], hidden: torch.Tensor) -> Any:
        """What the model makes of the hidden states after the last block."""
        with self._asking(len(self.blocks), hidden), precision(hidden.device, self.dtype):
            return self.model(**batch)

    def first_input(self, batch: Mapping[str, Any]) -> torch.Tensor:
        """The hidden states that the first block gets."""
        return _hidden(self._until(-1, batch, None))

    def _until(self, index: int, batch: Mapping[str, Any], hidden: torch.Tensor | None) -> Any:
        try:
            with self._asking(index, hidden):
                self.model(**batch)
        except _Done as done:
            return done.output
        raise RuntimeError("the model did not run its blocks in order")

    @contextmanager
    def _asking(self, index: int, hidden: torch.Tensor | None) -> Iterator[None]:
        self._asked.index, self._asked.hidden = index, hidden
        try:
            yield
        finally:
            self._asked.index, self._asked.hidden = None, None

    def _stand_in(self, k: int, forward: Callable[..., Any]) -> Callable[..., Any]:
        def run(*args: Any, **kwargs: Any) -> Any:
            index, hidden = self._asked.index, self._asked.hidden
            if index is None:
                return forward(*args, **kwargs)
            own = args[0] if args else kwargs["hidden_states"]
            if index < 0:
                raise _Done(own)
            if k < index:
                given = own if k < len(self.blocks) - 1 else hidden
                others = self._others.get(k)
                return given if others is None else (given, *others)
            with precision(own.device, self.dtype):
                output = forward(hidden, *args[1:], **kwargs) if args else forward(**kwargs | {"hidden_states": hidden})
            raise _Done(output)

        return run


class _Asked(threading.local):
    """Which block a thread wants to run, and on which hidden states; None where it runs the model as it is."""

    index: int | None = None
    hidden: torch.Tensor | None = None


def _hidden(output: Any) -> torch.Tensor:
    found: torch.Tensor = output[0] if isinstance(output, tuple) else output
    return found
