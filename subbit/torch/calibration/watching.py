"""Seeing a model multiply: which weight each call reads, with which inputs, whatever module makes the call."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch.nn import functional
from torch.overrides import TorchFunctionMode

from subbit.torch.targets import Target

__all__ = ["Read", "Watch"]

_LINEAR = (functional.linear,)
_PRODUCTS = (torch.matmul, torch.Tensor.matmul, torch.Tensor.__matmul__, torch.bmm, torch.Tensor.bmm)
_CONVOLUTIONS = (torch.conv1d, torch.conv2d)
_PLACES: dict[Any, tuple[str, ...]] = {
    **dict.fromkeys(_LINEAR, ("input", "weight")),
    **dict.fromkeys(_PRODUCTS, ("input", "weight")),
    torch.addmm: ("bias", "input", "weight"),
    **dict.fromkeys(_CONVOLUTIONS, ("input", "weight", "bias", "stride", "padding", "dilation", "groups")),
}
_SYNONYMS: dict[str, str] = {"mat1": "input", "mat2": "weight", "other": "weight"}


@dataclass(frozen=True)
class Read:
    """One multiplication by a weight: its inputs and outputs as they were, last dimension features.

    `group` is the expert whose matrix was used, None for the whole weight. `convolution` holds (kernel, stride,
    padding before and after, dilation, groups), and then features are dimension 1. `transposed` says that the weight
    is stored as (inputs, outputs).
    """

    target: Target
    group: int | None
    input: torch.Tensor
    output: torch.Tensor
    transposed: bool = False
    convolution: tuple[Any, ...] | None = None

    @property
    def batched(self) -> bool:
        """Whether all experts were multiplied at once: inputs (experts, vectors, features)."""
        return self.convolution is None and self.target.parameter.ndim == 3 and self.group is None


class Watch(TorchFunctionMode):
    """Calls `saw` with every product of `linear`, `addmm`, `matmul`, `bmm` and `conv1d/2d` with a target's weight.

    Weights are known by the memory they lie in, so that slices count: the experts of one 3-D parameter, and those of
    routers and other modules that are no `nn.Linear`. Where gradients are on and no input asks for one yet, they
    begin here: parameters may be frozen, and embeddings get none. `about` is called with target and inputs before.
    """

    def __init__(
        self,
        targets: Sequence[Target],
        saw: Callable[[Read], None],
        about: Callable[[Target, torch.Tensor], None] | None = None,
    ) -> None:
        super().__init__()
        self._saw = saw
        self._about = about
        self._targets = {target.parameter.untyped_storage().data_ptr(): target for target in targets}

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        given = dict(kwargs or {})
        places = _PLACES.get(func)
        if places is None:
            return func(*args, **given)
        named: dict[Any, Any] = dict(zip(places, args, strict=False))
        named |= {_SYNONYMS.get(key, key): value for key, value in given.items()}
        found = self._found(named.get("weight"))
        if found is None:
            return func(*args, **given)
        x = named["input"]
        if self._about is not None:
            self._about(found[0], x)
        if torch.is_grad_enabled() and not x.requires_grad and x.is_floating_point():
            x = x.detach().requires_grad_()
            args = tuple(x if value is named["input"] else value for value in args)
            given = {key: x if value is named["input"] else value for key, value in given.items()}
        output = func(*args, **given)
        target, group = found
        if func in _CONVOLUTIONS:
            self._saw(Read(target, None, x, output, convolution=_geometry(named)))
        else:
            self._saw(Read(target, group, x, output, _transposed(target, named["weight"], func in _LINEAR)))
        return output

    def _found(self, weight: Any) -> tuple[Target, int | None] | None:
        """The target that a weight is, or is one expert of."""
        if not isinstance(weight, torch.Tensor) or weight.is_meta:
            return None
        target = self._targets.get(weight.untyped_storage().data_ptr())
        if target is None:
            return None
        whole = target.parameter
        if weight.numel() == whole.numel():
            return target, None
        if whole.ndim == 3 and weight.ndim == 2 and weight.numel() == whole[0].numel():
            return target, (weight.storage_offset() - whole.storage_offset()) // whole.stride(0)
        return None


def _transposed(target: Target, weight: torch.Tensor, linear: bool) -> bool:
    """Whether the parameter stands as (inputs, outputs): `weight` is it, or its transpose."""
    turned = weight.shape[-2:] != target.parameter.shape[-2:] or weight.stride(-1) != target.parameter.stride(-1)
    return turned is linear


def _geometry(named: dict[str, Any]) -> tuple[Any, ...]:
    """(kernel, stride, padding before and after, dilation, groups); a 1-D convolution becomes a 2-D one of height 1."""
    kernel = tuple(named["weight"].shape[2:])
    stride, dilation = (_pair(named.get(key, 1), len(kernel)) for key in ("stride", "dilation"))
    padding = named.get("padding", 0)
    if padding == "same":
        sides = tuple((d * (k - 1)) for d, k in zip(dilation, kernel, strict=True))
        before, after = tuple(side // 2 for side in sides), tuple(side - side // 2 for side in sides)
    else:
        before = after = _pair(0 if padding == "valid" else padding, len(kernel))
    lifted = [(1, *kernel), (1, *stride), (0, *before), (0, *after), (1, *dilation)]
    return (*(pair[-2:] for pair in lifted), int(named.get("groups", 1)))


def _pair(value: Any, count: int) -> tuple[int, ...]:
    values = (value,) * count if isinstance(value, int) else tuple(value)
    return values * count if len(values) == 1 else values
