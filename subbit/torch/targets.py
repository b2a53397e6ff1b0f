"""Which weights of a model are meant: by patterns of their names, or all that codecs usually take."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import torch
from torch import nn
from torch.nn.utils import parametrize

from subbit.errors import UsageError
from subbit.planning.coverage import EMBEDDINGS, matches

__all__ = ["Target", "chosen", "unwrapped"]

_NAMES_SHOWN = 12


@dataclass
class Target:
    """One parameter under all its names; tied parameters are one target, called by the first."""

    parameter: torch.Tensor
    module: nn.Module
    leaf: str
    names: list[str] = field(default_factory=list)

    @property
    def name(self) -> str:
        """The name that seeds, files and errors use: the first in the model."""
        return self.names[0]

    @property
    def aside(self) -> bool:
        """Whether it is an embedding, an output head or part of a normalization: taken by its full name only."""
        lookup = isinstance(self.module, nn.Embedding | nn.EmbeddingBag)
        return lookup or "norm" in type(self.module).__name__.lower() or any(matches(n, EMBEDDINGS) for n in self.names)

    @property
    def usual(self) -> bool:
        """Whether `"*"` takes it: linear and convolution weights, attention projections, fused experts."""
        if self.aside:
            return False
        if isinstance(self.module, nn.MultiheadAttention):
            return self.leaf.endswith("proj_weight")
        layer = isinstance(self.module, nn.Linear | nn.modules.conv._ConvNd) or type(self.module).__name__ == "Conv1D"
        fused = self.parameter.ndim == 3 and "expert" in self.name.lower()
        return (layer and self.leaf == "weight") or fused

    def fits(self, pattern: str) -> bool:
        """Whether a pattern takes it; `"*"` alone means what is usual."""
        if pattern in self.names:
            return True
        return self.usual if pattern == "*" else not self.aside and any(matches(n, (pattern,)) for n in self.names)


def chosen(model: nn.Module, patterns: Sequence[str], inside: bool = False) -> list[Target]:
    """The parameters of two or more dimensions that fit a pattern, in the model's order.

    With `inside` a weight that a parametrization computes counts under its own name, by the tensor it is computed from.
    Raises :class:`UsageError` for a pattern that fits nothing (kind "targets", lists the names), and for parameters
    that hold no floats ("dtype") or no memory ("meta").
    """
    candidates = _candidates(model, inside)
    if not patterns:
        raise UsageError("no pattern says what the targets are", kind="targets", hint='"*" means all usual weights')
    for pattern in patterns:
        if not any(target.fits(pattern) for target in candidates):
            raise _no_match(pattern, candidates)
    targets = [target for target in candidates if any(target.fits(pattern) for pattern in patterns)]
    for target in targets:
        _check(target)
    return targets


def unwrapped(model: nn.Module) -> nn.Module:
    """The module inside DistributedDataParallel and torch.compile, whose names are those of the checkpoint."""
    while True:
        if isinstance(model, nn.parallel.DistributedDataParallel):
            model = model.module
        elif isinstance(inner := getattr(model, "_orig_mod", None), nn.Module):
            model = inner
        else:
            return model


def _candidates(model: nn.Module, inside: bool) -> list[Target]:
    targets: dict[int, Target] = {}
    for prefix, module in model.named_modules(remove_duplicate=False):
        for leaf, parameter in module._parameters.items():
            if parameter is not None and parameter.ndim >= 2 and parameter.numel():
                name, owner = f"{prefix}.{leaf}".lstrip("."), module
                if inside and leaf == "original" and isinstance(module, parametrize.ParametrizationList):
                    path, _, weight = f".{prefix}".rpartition(".parametrizations.")
                    name, owner, leaf = f"{path}.{weight}".lstrip("."), model.get_submodule(path.lstrip(".")), weight
                target = targets.setdefault(id(parameter), Target(parameter, owner, leaf))
                target.names.append(name)
    return list(targets.values())


def _check(target: Target) -> None:
    if not target.parameter.is_floating_point():
        text = f"holds {target.parameter.dtype}, and integers have no signs to train"
        raise UsageError(text, kind="dtype", tensor=target.name, hint="leave it out of targets")
    if target.parameter.is_meta:
        hint = "give the model memory and weights first"
        raise UsageError("lies on the meta device and has no weights", kind="meta", tensor=target.name, hint=hint)


def _no_match(pattern: str, candidates: list[Target]) -> UsageError:
    names = [target.name for target in candidates]
    listed = ", ".join(repr(name) for name in names[:_NAMES_SHOWN]) or "nothing"
    more = f" and {len(names) - _NAMES_SHOWN} more" if len(names) > _NAMES_SHOWN else ""
    hint = f"the model has {listed}{more}; embeddings, heads and norms need their full name"
    return UsageError(f"the pattern {pattern!r} fits no weight of two or more dimensions", kind="targets", hint=hint)
