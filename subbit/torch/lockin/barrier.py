"""The outer-drift log-barrier: a force that keeps weights away from zero, measured in gradients."""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch

from subbit.errors import UsageError

__all__ = ["Barrier", "log_barrier"]

_FLOOR = 0.05
"""ε of the barrier as a share of a: the force at zero is at most a / (2 ε) = 10 times the one at a / 2."""


@dataclass(frozen=True)
class Barrier:
    """How strong the barrier is, and when it fades.

    `force` is the barrier's pull on a weight at half the gap over the root mean square of the task's gradient,
    f = λ / (N · (a/2) · rms): 2 stops practically every flip, .2 leaves about 1e-4. It stays for `hold` steps and
    then fades to 0 over `decay` steps, along a line or a half cosine; `decay=0` never fades.
    """

    force: float = 2.0
    hold: int = 0
    decay: int = 0
    shape: str = "linear"

    def __post_init__(self) -> None:
        if not (self.force > 0 and math.isfinite(self.force)) or self.hold < 0 or self.decay < 0:
            raise UsageError(f"{self} needs force > 0, hold >= 0 and decay >= 0", kind="barrier")
        if self.shape not in ("linear", "cosine"):
            raise UsageError(f"a barrier has no shape {self.shape!r}", kind="barrier", hint="linear or cosine")

    def at(self, step: int) -> float:
        """The force ratio at a step, counted from 0."""
        if not self.decay or step <= self.hold:
            return self.force
        left = max(0.0, 1 - (step - self.hold) / self.decay)
        return self.force * (left if self.shape == "linear" else (1 - math.cos(math.pi * left)) / 2)


def log_barrier(weight: torch.Tensor, threshold: float) -> torch.Tensor:
    """Σ log max(1, a / (|W| + ε)) over all weights, in float32, differentiable; ε = a / 20.

    Its gradient is 0 outside the gap and at most 1 / ε inside. Source: Sakai & Ichikawa, arXiv 2602.17063, the
    regularizer R(W), there as a mean.
    """
    shares = weight.float().abs() * (1 / threshold)
    return -(shares + _FLOOR).clamp(max=1).log().sum()
