"""What the student is to do like its teacher: the teacher's side of a batch, the loss, the figures for a report."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager
from typing import Any, Protocol, cast

import torch
from torch import nn

from subbit.errors import SubbitError
from subbit.torch.healing.kl import HeadKL, head_losses, logit_kl
from subbit.torch.precision import precision

__all__ = ["Loss", "Objective", "OutputObjective", "TokenObjective", "call", "objective_for"]

_HINT = "the teacher must be the model that was compressed"
Loss = Callable[[Any, Any], torch.Tensor]
"""loss(student's output, teacher's output) → a scalar."""


class Objective(Protocol):
    """How far the student is from its teacher on a batch."""

    def target(self, batch: Any) -> Any:
        """What the teacher says about a batch; kept, so it should be small."""
        ...

    def loss(self, batch: Any, target: Any) -> torch.Tensor:
        """The mean loss of a batch, with gradients."""
        ...

    def sums(self, batch: Any, target: Any) -> torch.Tensor:
        """float64 (4,): loss and units, negative log likelihood and tokens (0 where there are none)."""
        ...


def objective_for(
    student: nn.Module, teacher: nn.Module, sample: Any, loss: Loss | None, dtype: torch.dtype | None
) -> Objective:
    """KL of the logits for causal language models, else `loss`, else a default that fits the output.

    Where a language model's logits are its frozen head times its last hidden state, only hidden states are kept. The
    defaults: KL for an output with `logits`, the relative squared error of `last_hidden_state` or of the output.
    Raises :class:`SubbitError` (kind "teacher") where the outputs of the two do not have the same shape.
    """
    if loss is None and TokenObjective.fits(student, teacher, sample, dtype):
        return TokenObjective(student, teacher, dtype)
    return OutputObjective(student, teacher, loss, sample, dtype)


class TokenObjective:
    """KL over the vocabulary from last hidden states."""

    def __init__(self, student: nn.Module, teacher: nn.Module, dtype: torch.dtype | None) -> None:
        self.student, self.teacher, self.dtype = student, teacher, dtype
        kind = dtype or torch.float32
        self.head, self.target_head = (_head(model).weight.detach().to(kind) for model in (student, teacher))
        if len(self.head) != len(self.target_head):
            text = f"the vocabularies have {len(self.head)} and {len(self.target_head)} tokens"
            raise SubbitError(text, kind="teacher", hint=_HINT)

    @staticmethod
    def fits(student: nn.Module, teacher: nn.Module, sample: Any, dtype: torch.dtype | None) -> bool:
        """Whether both are causal language models whose logits are head × last hidden state."""
        try:
            return all(_plain_head(model, _start(sample), dtype) for model in (student, teacher))
        except (AttributeError, TypeError, IndexError):
            return False

    @torch.no_grad()
    def target(self, batch: Any) -> torch.Tensor:
        """The teacher's last hidden states (tokens, width)."""
        with _in(self.teacher, self.dtype):
            return self._hidden(self.teacher, batch)

    def loss(self, batch: Any, target: torch.Tensor) -> torch.Tensor:
        """Mean KL in nats a token."""
        with _in(self.student, self.dtype):
            hidden = self._hidden(self.student, batch)
            mask, _ = _tokens(batch)
            return cast(torch.Tensor, HeadKL.apply(hidden, self.head, target, self.target_head, mask))  # type: ignore[no-untyped-call]

    @torch.no_grad()
    def sums(self, batch: Any, target: torch.Tensor) -> torch.Tensor:
        """KL and tokens, negative log likelihood and tokens."""
        with _in(self.student, self.dtype):
            hidden = self._hidden(self.student, batch)
            return head_losses(hidden, self.head, target, self.target_head, *_tokens(batch))

    def _hidden(self, model: nn.Module, batch: Any) -> torch.Tensor:
        hidden: torch.Tensor = call(_trunk(model), batch, use_cache=False).last_hidden_state
        return hidden.flatten(0, -2).to(self.head.dtype)


class OutputObjective:
    """A loss on what the modules return."""

    def __init__(
        self, student: nn.Module, teacher: nn.Module, loss: Loss | None, sample: Any, dtype: torch.dtype | None
    ) -> None:
        self.student, self.teacher, self.dtype = student, teacher, dtype
        outputs = []
        for model in (student, teacher):
            with torch.no_grad(), _in(model, dtype):
                outputs.append(_main(call(model, sample)))
        if loss is None and outputs[0].shape != outputs[1].shape:
            text = f"student and teacher return {tuple(outputs[0].shape)} and {tuple(outputs[1].shape)}"
            raise SubbitError(text, kind="teacher", hint=_HINT)
        self._loss = loss or _default_loss

    @torch.no_grad()
    def target(self, batch: Any) -> Any:
        """The teacher's output."""
        with _in(self.teacher, self.dtype):
            return call(self.teacher, batch)

    def loss(self, batch: Any, target: Any) -> torch.Tensor:
        """The loss of the two outputs."""
        with _in(self.student, self.dtype):
            return self._loss(call(self.student, batch), target)

    @torch.no_grad()
    def sums(self, batch: Any, target: Any) -> torch.Tensor:
        """The loss, counted once a batch."""
        return torch.tensor([float(self.loss(batch, target)), 1, 0, 0], dtype=torch.float64)


def call(model: nn.Module, batch: Any, **options: Any) -> Any:
    """model(**mapping), model(*tuple) or model(tensor)."""
    if isinstance(batch, Mapping):
        return model(**batch, **options)
    return model(*batch, **options) if isinstance(batch, tuple | list) else model(batch, **options)


def _in(model: nn.Module, dtype: torch.dtype | None) -> AbstractContextManager[Any]:
    return precision(next(model.parameters()).device, dtype)


def _default_loss(output: Any, target: Any) -> torch.Tensor:
    if hasattr(output, "logits"):
        return logit_kl(output.logits, target.logits)
    wanted = _main(target).float()
    return (_main(output).float() - wanted).square().mean() / wanted.square().mean().clamp(min=1e-30)


def _main(output: Any) -> torch.Tensor:
    """The tensor that counts in what a model returned."""
    for name in ("logits", "last_hidden_state"):
        if isinstance(found := getattr(output, name, None), torch.Tensor):
            return found
    several = output.values() if isinstance(output, Mapping) else output
    for value in several if isinstance(output, Mapping | tuple | list) else [output]:
        if isinstance(value, torch.Tensor):
            return value
    raise SubbitError(f"no tensor in the output, a {type(output).__name__}", kind="loss", hint="pass loss=")


def _trunk(model: Any) -> nn.Module:
    return cast(nn.Module, model.base_model)


def _head(model: Any) -> Any:
    return model.get_output_embeddings()


@torch.no_grad()
def _plain_head(model: Any, sample: Any, dtype: torch.dtype | None) -> bool:
    """Whether logits = hidden states × head, tried on a sample."""
    head, trunk = _head(model), _trunk(model)
    if type(head) is not nn.Linear or getattr(head, "bias", None) is not None or trunk is model:
        return False
    with _in(model, dtype):
        logits, again = call(model, sample).logits, head(call(trunk, sample).last_hidden_state)
    return bool(torch.allclose(logits.float(), again.float(), rtol=1e-3, atol=1e-3))


def _start(batch: Any) -> Any:
    """The first few tokens of a batch of token ids."""
    if isinstance(batch, Mapping):
        return {name: value[:, :8] for name, value in batch.items()}
    return batch[:, :8] if isinstance(batch, torch.Tensor) else tuple(value[:, :8] for value in batch)


def _tokens(batch: Any) -> tuple[torch.Tensor, torch.Tensor]:
    """Flat float mask of the tokens that count, and the token that follows each; -1 where none is known."""
    ids = batch["input_ids"] if isinstance(batch, Mapping) else batch[0] if isinstance(batch, tuple | list) else batch
    given = batch.get("attention_mask") if isinstance(batch, Mapping) else None
    mask = torch.ones_like(ids) if given is None else given
    following = torch.full_like(ids, -1)
    following[:, :-1] = torch.where(mask[:, 1:] > 0, ids[:, 1:], -1)
    return mask.flatten().float(), following.flatten()
