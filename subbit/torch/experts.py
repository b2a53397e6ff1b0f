"""Experts that keep their weights packed."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import nn

from subbit.errors import UsageError
from subbit.packed import Packed
from subbit.torch.packed import SubbitLinear

__all__ = ["PackedExperts"]


class PackedExperts(nn.Module):
    """In the place of a parameter (experts, rows, columns): `[expert]` is what `nn.functional.linear` multiplies by.

    Each expert's rows may come from several matrices of the file, one under the other. No matrix is ever in memory, and
    as with :class:`SubbitLinear` none is trained.
    """

    def __init__(self, experts: Sequence[Sequence[Packed]]) -> None:
        super().__init__()
        self._layers = [[SubbitLinear(part) for part in parts] for parts in experts]  # no submodules: not to be adapted
        rows, columns = sum(part.rows for part in experts[0]), experts[0][0].columns
        self.shape = torch.Size((len(experts), rows, columns))

    def __getitem__(self, expert: int | torch.Tensor) -> _Expert:
        return _Expert(self._layers[int(expert)])

    def dense(self, dtype: torch.dtype) -> torch.Tensor:
        """All weights, decoded."""
        whole = torch.empty(self.shape, dtype=dtype)
        for matrix, layers in zip(whole, self._layers, strict=True):
            torch.cat([layer.weight.data for layer in layers], out=matrix)
        return whole

    def extra_repr(self) -> str:
        """Its sizes."""
        nbytes = sum(layer.packed.nbytes for layers in self._layers for layer in layers)
        return f"{', '.join(map(str, self.shape))}, {nbytes:,} bytes"


class _Expert:
    """One matrix, for `nn.functional.linear` alone."""

    def __init__(self, layers: Sequence[SubbitLinear]) -> None:
        self._layers = layers

    @classmethod
    def __torch_function__(cls, function: Any, _: Any, arguments: Any = (), options: Any = None) -> Any:
        if (
            function is nn.functional.linear
            and len(arguments) == 2
            and not options
            and not isinstance(arguments[0], cls)
        ):
            x, expert = arguments
            return torch.cat([layer(x) for layer in expert._layers], dim=-1)
        text = f"packed experts cannot be used by {getattr(function, '__name__', function)}"
        raise UsageError(text, kind="packed", hint="load them decoded: packed=False")
