"""Linear layers that keep their weights packed."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from typing import Any, cast

import numpy as np
import torch
from torch import nn

from subbit.codecs.blocks import thread_count
from subbit.errors import UsageError
from subbit.model import Tensor
from subbit.packed import Blocks, Packed, fastest
from subbit.torch.state import as_array

__all__ = ["SubbitLinear", "keep_packed", "packed_weights"]


class SubbitLinear(nn.Linear):
    """x (…, columns) → x Wᵀ + bias (…, rows), with W as the file stores it; no matrix of it is ever in memory.

    W is frozen; gradients flow to x and to the bias, and the result has the type of x. Of the ways to multiply, the one
    that is fastest for this shape and this many rows of x is found once a machine (see `packed.measured`). Works on the
    CPU; raises :class:`UsageError` (kind "device") for other inputs.
    """

    def __init__(self, packed: Packed, bias: nn.Parameter | None = None) -> None:
        nn.Module.__init__(self)  # a linear layer to everybody, but without a parameter for the weight
        self.packed = packed
        self.register_parameter("bias", bias)
        self.in_features, self.out_features = packed.columns, packed.rows
        self._ways: dict[tuple[int, torch.dtype, int], str] = {}

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Multiply."""
        if x.device.type != "cpu":
            text = f"packed weights multiply on the CPU, and the input is on {x.device}"
            raise UsageError(text, kind="device", hint="attach without packed=True, and the weights are decoded there")
        flat = x.reshape(-1, self.in_features)
        if flat.requires_grad and torch.is_grad_enabled():
            y = cast(torch.Tensor, _Multiply.apply(flat, self))  # type: ignore[no-untyped-call]
        else:
            y = self.product(flat)
        y = y.reshape(*x.shape[:-1], self.out_features)
        return y if self.bias is None else y + self.bias

    @property
    def weight(self) -> torch.Tensor:  # type: ignore[override]
        """W (rows, columns) in float32, decoded anew each time; to set its `data` is refused."""
        whole = torch.empty(self.out_features, self.in_features)
        for part, block in _decoded(self.packed.blocks, torch.float32):
            whole[part] = block
        return whole.as_subclass(_Copy)  # type: ignore[no-untyped-call, no-any-return, unused-ignore]

    def product(self, x: torch.Tensor) -> torch.Tensor:
        """x (n, columns) → x Wᵀ, in the fastest way; the graph of gradients does not see it."""
        batch = 1 << (len(x) - 1).bit_length() if len(x) else 0
        key = batch, x.dtype, thread_count()
        if key not in self._ways:
            self._ways[key] = self._fastest(x, batch)
        return _WAYS[self._ways[key]](x, self.packed)

    def _fastest(self, x: torch.Tensor, batch: int) -> str:
        packed = self.packed
        names = ["blocks"] if packed is packed.blocks else ["packed", "blocks"]
        name = f"{type(packed).__name__} {packed.rows} x {packed.columns} x {batch}, {x.dtype}"
        return fastest(name, {way: partial(_WAYS[way], x, packed) for way in names})

    def extra_repr(self) -> str:
        """Its sizes, and how it multiplies."""
        way = type(self.packed).__name__.lower()
        return f"in_features={self.in_features}, out_features={self.out_features}, {way}, {self.packed.nbytes:,} bytes"


class _Copy(torch.Tensor):
    """A decoded weight. What writes into it (merging an adapter does) would be lost, and so is refused."""

    @property
    def data(self) -> torch.Tensor:
        """The numbers."""
        return self.as_subclass(torch.Tensor)  # type: ignore[no-untyped-call, no-any-return, unused-ignore]

    @data.setter
    def data(self, _: torch.Tensor) -> None:
        text = "packed weights cannot be changed"
        raise UsageError(text, kind="packed", hint="load them decoded (packed: false), or model.dequantize() before")


class _Multiply(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: torch.Tensor, layer: SubbitLinear) -> torch.Tensor:
        ctx.packed = layer.packed
        return layer.product(x.detach())

    @staticmethod
    def backward(ctx: Any, dy: torch.Tensor) -> tuple[torch.Tensor, None]:
        dx = torch.zeros(len(dy), ctx.packed.columns, dtype=dy.dtype)
        for part, block in _decoded(ctx.packed.blocks, dy.dtype):
            dx += dy[:, part] @ block
        return dx, None


def _by_itself(x: torch.Tensor, packed: Packed) -> torch.Tensor:
    """As the codes are."""
    known = x.detach() if x.requires_grad else x
    return torch.from_numpy(packed.multiply(np.ascontiguousarray(known.float().numpy()))).to(x.dtype)


def _by_blocks(x: torch.Tensor, packed: Packed) -> torch.Tensor:
    """Decode rows in the type of x, and let torch multiply."""
    y = x.new_empty(len(x), packed.rows)
    for part, block in _decoded(packed.blocks, x.dtype):
        y[:, part] = nn.functional.linear(x, block)
    return y


_WAYS = {"packed": _by_itself, "blocks": _by_blocks}


def _decoded(blocks: Blocks, dtype: torch.dtype) -> Iterator[tuple[slice, torch.Tensor]]:
    """Slices of rows and these rows; always in the same memory."""
    memory = torch.empty(min(blocks.step, blocks.rows), blocks.columns, dtype=dtype)
    for part in blocks.parts():
        block = memory[: part.stop - part.start]
        blocks.fill(part, as_array(block))
        yield part, block


def packed_weights(stored: Tensor, *, fast: bool) -> Packed | None:
    """A matrix ready to be multiplied by as it is stored; None for what has to be decoded.

    With `fast`, None too for what would be decoded anew for every product.
    """
    try:
        packed = stored.packed()
    except UsageError:
        return None
    return None if fast and packed is packed.blocks else packed


def keep_packed(model: nn.Module, name: str, stored: Tensor, *, fast: bool = False) -> bool:
    """Put a :class:`SubbitLinear` in the place of the linear layer whose weight has this name; False if there is none.

    Left alone is what is no plain `nn.Linear` below the model itself, what its codec does not let stay packed, and with
    `fast` what it would decode anew for every product.
    """
    path, _, leaf = name.rpartition(".")
    layer = model.get_submodule(path)
    if leaf != "weight" or type(layer) is not nn.Linear or not path or not stored.covered:
        return False
    packed = packed_weights(stored, fast=fast)
    if packed is None:
        return False
    parent, _, child = path.rpartition(".")
    setattr(model.get_submodule(parent), child, SubbitLinear(packed, layer.bias))
    return True
