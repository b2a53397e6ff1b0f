"""Adam on all tuned numbers as one vector: easy to keep, to restore and to write down."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import nn

__all__ = ["FlatAdam"]

_BETAS = (0.9, 0.99)
_EPSILON = 1e-12


class FlatAdam:
    """Holds the parameters' memory: float32 vectors of values and of both moments (Kingma and Ba, arXiv 1412.6980).

    `scales` are learning rates relative to the step's, one a parameter.
    """

    def __init__(self, parameters: Sequence[nn.Parameter], scales: Sequence[float]) -> None:
        self.parameters = list(parameters)
        self.values = torch.cat([p.detach().float().flatten() for p in parameters])
        rates = (torch.full_like(p, scale, dtype=torch.float32) for p, scale in zip(parameters, scales, strict=True))
        self._rates = torch.cat([part.flatten() for part in rates])
        self.first, self.second = torch.zeros_like(self.values), torch.zeros_like(self.values)
        self.steps = 0
        parts = torch.split(self.values, [p.numel() for p in parameters])
        for parameter, part in zip(self.parameters, parts, strict=True):
            parameter.data = part.view(parameter.shape)

    def gradient(self, loss: torch.Tensor) -> torch.Tensor:
        """The gradient of a loss as one vector; nothing is left on the parameters."""
        found = torch.autograd.grad(loss, self.parameters, allow_unused=True, materialize_grads=True)
        return torch.cat([part.flatten() for part in found])

    @torch.no_grad()
    def step(self, gradient: torch.Tensor, rate: float) -> None:
        """One update, in place."""
        self.steps += 1
        self.first.lerp_(gradient, 1 - _BETAS[0])
        self.second.mul_(_BETAS[1]).addcmul_(gradient, gradient, value=1 - _BETAS[1])
        spread = (self.second / (1 - _BETAS[1] ** self.steps)).sqrt_().add_(_EPSILON)
        self.values.addcdiv_(self.first * self._rates, spread, value=-rate / (1 - _BETAS[0] ** self.steps))
