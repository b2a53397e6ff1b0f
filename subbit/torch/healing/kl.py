"""Kullback–Leibler divergence between two language models from their last hidden states, a block of tokens at a time.

Logits of a whole window take vocabulary × tokens floats, several times over; blocks of tokens take little memory, and
the gradient is had in the same pass, because the heads are frozen.
"""

from __future__ import annotations

from typing import Any

import torch

__all__ = ["HeadKL", "head_losses", "logit_kl"]

_TOKENS = 128


class HeadKL(torch.autograd.Function):
    """Mean KL(teacher ‖ student) in nats a token: HeadKL.apply(hidden, head, teacher_hidden, teacher_head, mask).

    Hidden states (tokens, width), heads (vocabulary, width); `mask` (tokens,) says which tokens count.
    """

    @staticmethod
    def forward(  # noqa: D102
        ctx: Any, hidden: torch.Tensor, head: torch.Tensor, target: torch.Tensor, target_head: torch.Tensor,
        mask: torch.Tensor,
    ) -> torch.Tensor:  # fmt: skip
        gradient = torch.empty_like(hidden)
        total, count = mask.new_zeros(()), mask.sum().clamp(min=1)
        for part in _parts(len(hidden)):
            log_q = (hidden[part] @ head.T).float().log_softmax(-1)
            log_p = (target[part] @ target_head.T).float().log_softmax(-1)
            p = log_p.exp()
            total += (log_p.sub_(log_q).mul_(p).sum(-1) * mask[part]).sum()
            slope = log_q.exp_().sub_(p).mul_((mask[part] / count)[:, None])
            gradient[part] = slope.to(head.dtype) @ head
        ctx.save_for_backward(gradient)
        return total / count

    @staticmethod
    def backward(  # noqa: D102
        ctx: Any, upstream: torch.Tensor
    ) -> tuple[torch.Tensor | None, ...]:
        (gradient,) = ctx.saved_tensors
        return gradient * upstream, None, None, None, None


def head_losses(
    hidden: torch.Tensor, head: torch.Tensor, target: torch.Tensor, target_head: torch.Tensor, mask: torch.Tensor,
    following: torch.Tensor,
) -> torch.Tensor:  # fmt: skip
    """Sums for reports, float64 (4,): KL, tokens, negative log likelihood of the `following` tokens, how many."""
    sums = torch.zeros(4, dtype=torch.float64)
    for part in _parts(len(hidden)):
        log_q = (hidden[part] @ head.T).float().log_softmax(-1)
        log_p = (target[part] @ target_head.T).float().log_softmax(-1)
        sums[0] += ((log_p - log_q).mul_(log_p.exp()).sum(-1) * mask[part]).sum().item()
        known = following[part] >= 0
        picked = log_q.gather(1, following[part].clamp(min=0)[:, None])[:, 0]
        sums[2] -= (picked * known).sum().item()
        sums[3] += int(known.sum())
    sums[1] = float(mask.sum())
    return sums


def logit_kl(output: torch.Tensor, target: torch.Tensor) -> torch.Tensor:
    """Mean KL(teacher ‖ student) over all positions of logits (…, classes)."""
    log_q, log_p = output.float().log_softmax(-1), target.float().log_softmax(-1)
    return ((log_p - log_q) * log_p.exp()).sum(-1).mean()


def _parts(tokens: int) -> list[slice]:
    return [slice(start, start + _TOKENS) for start in range(0, tokens, _TOKENS)]
