"""Linear layers that keep their weights packed."""

from __future__ import annotations

from typing import Any, cast

import numpy as np
import torch
from torch import nn

from subbit.errors import UsageError
from subbit.model import Tensor
from subbit.packed import Packed

__all__ = ["SubbitLinear", "keep_packed"]


class SubbitLinear(nn.Module):
    """x (…, columns) → x Wᵀ + bias (…, rows), with W as the file stores it; no matrix of it is ever in memory.

    W is frozen; gradients flow to x and to the bias. Sums are float32, and the result has the type of x. Works on the
    CPU; raises :class:`UsageError` (kind "device") for other inputs.
    """

    def __init__(self, packed: Packed, bias: nn.Parameter | None = None) -> None:
        super().__init__()
        self.packed, self.bias = packed, bias
        self.in_features, self.out_features = packed.columns, packed.rows

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Multiply."""
        if x.device.type != "cpu":
            text = f"packed weights multiply on the CPU, and the input is on {x.device}"
            raise UsageError(text, kind="device", hint="attach without packed=True, and the weights are decoded there")
        y = cast(torch.Tensor, _Multiply.apply(x, self.packed))  # type: ignore[no-untyped-call]
        return y if self.bias is None else y + self.bias

    def extra_repr(self) -> str:
        """Its sizes, and how it multiplies."""
        way = type(self.packed).__name__.lower()
        return f"in_features={self.in_features}, out_features={self.out_features}, {way}, {self.packed.nbytes:,} bytes"


class _Multiply(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: torch.Tensor, packed: Packed) -> torch.Tensor:
        ctx.packed = packed
        return _through(packed.multiply, x, packed.rows)

    @staticmethod
    def backward(ctx: Any, dy: torch.Tensor) -> tuple[torch.Tensor, None]:
        return _through(ctx.packed.multiply_back, dy, ctx.packed.columns), None


def _through(product: Any, x: torch.Tensor, width: int) -> torch.Tensor:
    """Apply a function of float32 matrices to the last dimension."""
    rows = np.ascontiguousarray(x.detach().reshape(-1, x.shape[-1]).float().numpy())
    return torch.from_numpy(product(rows)).reshape(*x.shape[:-1], width).to(x.dtype)


def keep_packed(model: nn.Module, name: str, stored: Tensor) -> bool:
    """Put a :class:`SubbitLinear` in the place of the linear layer whose weight has this name; False if there is none.

    Left alone is what is no plain `nn.Linear` below the model itself, and what its codec does not let stay packed.
    """
    path, _, leaf = name.rpartition(".")
    layer = model.get_submodule(path)
    if leaf != "weight" or type(layer) is not nn.Linear or not path or not stored.covered:
        return False
    try:
        packed = stored.packed()
    except UsageError:
        return False
    parent, _, child = path.rpartition(".")
    setattr(model.get_submodule(parent), child, SubbitLinear(packed, layer.bias))
    return True
