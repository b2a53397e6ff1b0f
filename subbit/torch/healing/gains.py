"""Gains on the rows and columns of frozen weights: the same as scaling W, at the price of scaling activations.

y = ((x · c) Wᵀ) · r. W needs no gradient, so that a step costs one product with W forward and one backward. In terms of
the logarithms of the gains their gradients are ⟨∂y, y⟩ and ⟨x, ∂x⟩, summed over tokens.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, cast

import torch
from torch import nn
from torch.nn.utils import parametrize

from subbit.records import matrix_shape

__all__ = ["Gains", "gained", "ungained"]


class Gains(nn.Module):
    """The logarithms of the gains of one weight, and the factors of its correction where it has one."""

    def __init__(self, weight: torch.Tensor, rank: int, rows_move: bool, columns_move: bool) -> None:
        super().__init__()
        rows, cols = matrix_shape(tuple(weight.shape))
        device = weight.device
        self.log_rows = nn.Parameter(torch.zeros(rows, device=device), rows_move)
        self.log_columns = nn.Parameter(torch.zeros(cols, device=device), columns_move)
        self.rank = rank
        if rank:
            generator = torch.Generator().manual_seed(rows * cols + rank)
            self.a = nn.Parameter(torch.zeros(rows, rank, device=device))
            self.b = nn.Parameter((torch.randn(cols, rank, generator=generator) / cols**0.5).to(device))
            self._spread = float(weight.detach().float().square().mean().sqrt()) * cols**0.5

    def tuned(self) -> Iterator[tuple[nn.Parameter, float]]:
        """Parameters that are tuned, and the learning rate of each relative to that of gains."""
        yield from ((part, 1.0) for part in (self.log_rows, self.log_columns) if part.requires_grad)
        if self.rank:
            yield self.a, self._spread / self.rank**0.5
            yield self.b, self.b.shape[0] ** -0.5

    def correction(self) -> torch.Tensor:
        """The factors as files hold them: [Aᵀ Bᵀ], (rank, rows + columns)."""
        return torch.cat([self.a, self.b]).detach().T.contiguous()

    def forward(self, weight: torch.Tensor) -> torch.Tensor:
        """The weight with its gains and correction: for modules that are no linear layers."""
        rows, cols = matrix_shape(tuple(weight.shape))
        matrix = weight.reshape(rows, cols) * self.log_rows.exp()[:, None] * self.log_columns.exp()
        if self.rank:
            matrix = matrix + self.a @ self.b.T
        return matrix.reshape(weight.shape)


class GainedLinear(nn.Module):
    """A linear layer with a frozen weight in the type that multiplies fastest, and gains around it."""

    def __init__(self, linear: nn.Linear, gains: Gains, dtype: torch.dtype) -> None:
        super().__init__()
        self.linear, self.gains = linear, gains
        self.register_buffer("frozen", linear.weight.detach().to(dtype), persistent=False)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """x (…, columns) → (…, rows)."""
        gains, frozen = self.gains, cast(torch.Tensor, self.frozen)
        y = cast(torch.Tensor, _Scaled.apply(x, frozen, gains.log_rows, gains.log_columns))  # type: ignore[no-untyped-call]
        if gains.rank:
            y = y + ((x.to(y.dtype) @ gains.b.to(y.dtype)) @ gains.a.to(y.dtype).T)
        return y if self.linear.bias is None else y + self.linear.bias


class _Scaled(torch.autograd.Function):
    """((x · exp c) Wᵀ) · exp r with gradients for x, r and c."""

    @staticmethod
    def forward(
        ctx: Any, x: torch.Tensor, weight: torch.Tensor, log_rows: torch.Tensor, log_columns: torch.Tensor
    ) -> torch.Tensor:
        rows, columns = log_rows.exp(), log_columns.exp()
        y = nn.functional.linear((x * columns).to(weight.dtype), weight)
        y = (y * rows).to(weight.dtype)
        ctx.save_for_backward(x, y, weight, rows, columns)
        return y

    @staticmethod
    def backward(ctx: Any, dy: torch.Tensor) -> tuple[torch.Tensor | None, ...]:
        x, y, weight, rows, columns = ctx.saved_tensors
        dx = ((dy * rows).to(weight.dtype) @ weight) * columns
        d_rows = (dy * y).flatten(0, -2).sum(0, dtype=torch.float32) if ctx.needs_input_grad[2] else None
        d_columns = (x * dx).flatten(0, -2).sum(0, dtype=torch.float32) if ctx.needs_input_grad[3] else None
        return dx.to(x.dtype), None, d_rows, d_columns


def gained(model: nn.Module, name: str, gains: Gains, dtype: torch.dtype) -> None:
    """Put gains on the weight called `name`, in place: around a linear layer, or else on the weight itself."""
    path, _, leaf = name.rpartition(".")
    module = model.get_submodule(path)
    if type(module) is nn.Linear and leaf == "weight":
        parent, _, child = path.rpartition(".")
        setattr(model.get_submodule(parent), child, GainedLinear(module, gains, dtype))
    else:
        parametrize.register_parametrization(module, leaf, gains)


def ungained(model: nn.Module) -> None:
    """Undo all :func:`gained` of a module: its own layers, with the weights from before."""
    for path, module in list(model.named_modules()):
        if isinstance(module, GainedLinear):
            parent, _, child = path.rpartition(".")
            setattr(model.get_submodule(parent), child, module.linear)
        elif parametrize.is_parametrized(module):
            for leaf, parts in list(module.parametrizations.items()):
                if any(isinstance(part, Gains) for part in parts):
                    parametrize.remove_parametrizations(module, leaf, leave_parametrized=False)
