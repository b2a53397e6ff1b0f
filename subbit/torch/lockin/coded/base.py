"""What a codec in the loop is.

:class:`Coded` gives a weight its signs; a `Values` module holds the rest: the integers that a file will hold, and the
numbers that they stand for. It sees a weight as its target, float32 in the matrix view: T ⊙ W for magnitudes (below 0
where the latent weight has lost its template's sign), W itself for a codec that codes both together. The rules:

1. `Values(target, codec)` starts where `codec.encode` does, or near it, with integers assigned, on the target's device.
2. `forward()` gives float32[rows, cols], the very bits that the codec's decoder gives for `sections()`; magnitudes are
   ≥ +0. What is trained is a parameter, rounded as the file rounds it in every forward pass; :func:`straight` sends
   gradients through the rounding. Nothing is drawn at random, so that all processes compute the same.
3. `assign(target)` gives every weight the integers that are now nearest to it, and touches no parameter.
4. `sections()` packs the integers that `forward` reads, and chooses nothing anew. They are those of the codec, in its
   order, and should stay within `codec.bits`.
5. Integers and units are buffers: checkpoints hold them, and DistributedDataParallel sends them to all processes.

`weight.VALUES` names the module of every codec that has one.
"""

from __future__ import annotations

import math
from typing import Any

import torch
from torch import nn

__all__ = ["Halves", "Values", "straight"]

_LARGEST_HALF = 65504.0
_EXACT = torch.float32


class Exact(nn.Module):
    """Keeps its float32 buffers float32 when the model is moved to another type: files hold them so."""

    def _apply(self, fn: Any, recurse: bool = True) -> Exact:
        kept = {name: buffer for name, buffer in self._buffers.items() if buffer is not None and buffer.dtype == _EXACT}
        super()._apply(fn, recurse)  # type: ignore[no-untyped-call]
        for name, buffer in kept.items():
            moved = self._buffers[name]
            if moved is not None and moved.dtype != _EXACT:
                self._buffers[name] = buffer.to(moved.device)
        return self


class Values(Exact):
    """The values of one coded weight; see the module's text for the contract."""

    def __init__(self, target: torch.Tensor, codec: Any) -> None:
        super().__init__()

    def forward(self) -> torch.Tensor:
        """What the decoder will give, float32[rows, cols]."""
        raise NotImplementedError

    def assign(self, target: torch.Tensor) -> None:
        """Choose the integers anew for float32[rows, cols]."""
        raise NotImplementedError

    def sections(self) -> dict[str, bytes]:
        """What a file holds."""
        raise NotImplementedError


class Halves(Exact):
    """Trainable scales ≥ 0 in the form that files give them: float16 times `unit`, a power of two."""

    unit: torch.Tensor

    def __init__(self, scales: torch.Tensor) -> None:
        super().__init__()
        unit = math.ldexp(1.0, max(math.frexp(scales.max().item())[1], -100))
        self.register_buffer("unit", torch.tensor(unit, device=scales.device))
        self.halves = nn.Parameter(scales / unit)

    def forward(self) -> torch.Tensor:
        """The scales as they will be read, float32."""
        return straight(self.rounded().float(), self.halves) * self.unit

    @torch.no_grad()
    def rounded(self) -> torch.Tensor:
        """The float16 numbers of the file; abs because files know no −0."""
        return self.halves.float().clamp(0, _LARGEST_HALF).abs().half()

    def parts(self) -> tuple[bytes, bytes]:
        """The unit as float32 and the scales as float16."""
        unit = self.unit.float().cpu().numpy().astype("<f4").tobytes()
        return unit, self.rounded().cpu().numpy().astype("<f2").tobytes()


class _Straight(torch.autograd.Function):
    """A value forward; backward the gradient goes to it and to the source that it was rounded from."""

    @staticmethod
    def forward(ctx: Any, value: torch.Tensor, source: torch.Tensor) -> torch.Tensor:
        return value.view_as(value)

    @staticmethod
    def backward(ctx: Any, gradient: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        return gradient, gradient


def straight(value: torch.Tensor, source: torch.Tensor) -> torch.Tensor:
    """`value`, whose gradient reaches both what it was computed from and `source`, of the same shape, unchanged."""
    rounded: torch.Tensor = _Straight.apply(value, source)  # type: ignore[no-untyped-call]
    return rounded
