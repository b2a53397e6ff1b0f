"""Codes in the loop: train on the weights that a file will hold, then write exactly those."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from os import PathLike
from typing import cast

import numpy as np
import torch
from torch import nn
from torch.nn.utils import parametrize

from subbit.codecs import Codec, DeadZone, Dense, LowBit, Vector
from subbit.codecs.magnitudes.base import Magnitudes
from subbit.errors import SubbitError, UsageError
from subbit.model import Report, TensorReport
from subbit.planning import Coverage
from subbit.records import Encoded
from subbit.signs import Stored
from subbit.tensors import decode, encode, relative_error
from subbit.torch.lockin.coded import VALUES, Coded
from subbit.torch.lockin.lock import LockIn
from subbit.torch.lockin.saving import untied
from subbit.torch.state import as_array, dtype_name
from subbit.torch.targets import Target, chosen, unwrapped
from subbit_formats.sbit import Writer, open_reader

__all__ = ["Quantized", "quantize"]

_MOST_BITS = 6


def quantize(
    model: nn.Module | LockIn,
    codec: Magnitudes | Codec = Vector(),  # noqa: B008 (frozen)
    targets: str | Sequence[str] | None = None,
    *,
    pull: float = 0.005,
) -> Quantized:
    """Replace the chosen weights, in place, by W' = S ⊙ magnitudes, as `codec` would store them.

    From now on the forward pass sees W'; the codec's scales and codebooks are parameters, and the latent weights get
    the gradient of W' as it is (straight-through), so make the optimizer after this call, and wrap the model in
    DistributedDataParallel after it, too. `codec` is :class:`LowBit`, :class:`Vector`, :class:`OneOfN`, or, for signs
    and magnitudes together, :class:`DeadZone`. Given a lock, the signs are its templates' and cost nothing, whatever
    the latent weights do, on which its `penalty` and `step` may go on; `targets` are then its tensors unless patterns
    say otherwise. Weights without a template store their signs, one bit each. Tune with the learning rate of training.

    In every step the latent weights go by a share `pull` of the way to W', so that they do not drift away from what
    they stand for and codes settle in the end.

    Costs `Signed(plane, codec).bits(shape)` a tensor, or `codec.bits(shape)` where it codes the signs too. Raises
    :class:`SubbitError` before anything changes: a codec that cannot be trained, a pattern without a match, tied
    weights, weights that have a correction or are quantized already, integer or meta parameters, weights that are not
    finite or all zeros, a model wrapped in DistributedDataParallel.
    Source: van den Oord et al., "Neural discrete representation learning" (2017), equation 1 and section 3.2; the pull
    is the proximal step of Bai, Wang and Liberty, "ProxQuant" (2018).
    """
    if not (isinstance(pull, int | float) and 0 <= pull <= 1):
        raise UsageError(f"pull={pull!r} is no share", kind="pull", hint="0 … 1, such as 0.005")
    lock = model if isinstance(model, LockIn) else None
    _check_codec(codec, lock)
    model = lock.model if lock else _bare(cast(nn.Module, model))
    held = {item.name: item for item in lock.locked} if lock else {}
    for item in held.values():
        if item.leaf == "original":
            text = "has a correction, or is quantized already"
            raise UsageError(text, kind="parametrized", tensor=item.name, hint="detach the lock and quantize the model")
    patterns = (list(held) or ["*"]) if targets is None else [targets] if isinstance(targets, str) else list(targets)
    found = chosen(model, patterns)
    for target in found:
        _check(target)
    free = {name: item.plane for name, item in held.items()}
    stored = None if isinstance(codec, Codec) else Stored()
    coded = [Coded(target.parameter, free.get(target.name, stored), codec) for target in found]
    trained = {}
    for target, weight in zip(found, coded, strict=True):
        parametrize.register_parametrization(target.module, target.leaf, weight)
        owner = cast(nn.Module, target.module.parametrizations[target.leaf])  # type: ignore[index]
        trained[target.name] = _Trained(owner, weight)
        if target.name in held:  # the lock goes on with the latent weights
            held[target.name].owner, held[target.name].leaf = owner, "original"
    return Quantized(model, trained, pull)


@dataclass
class _Trained:
    """The module that holds a latent weight as `original`, and what computes W' from it."""

    owner: nn.Module
    coded: Coded

    @property
    def latent(self) -> nn.Parameter:
        return cast(nn.Parameter, self.owner.original)


class Quantized:
    """The coded weights of a model; made by `quantize`. Call :meth:`step` after `optimizer.step()`.

    Codes, signs, codebooks and scales are part of the model's own `state_dict`.
    """

    def __init__(self, model: nn.Module, trained: dict[str, _Trained], pull: float) -> None:
        self.model, self._trained, self.pull, self.frozen = model, trained, pull, False

    def parameters(self) -> list[nn.Parameter]:
        """The codebooks and scales: all of the coded weights that trains after :meth:`freeze`."""
        return [parameter for item in self._trained.values() for parameter in item.coded.parameters()]

    @torch.no_grad()
    def step(self) -> None:
        """Pull the latent weights towards W', then give each the codes that are now nearest, unless they are frozen.

        Raises :class:`SubbitError` (kind "nonfinite", names the tensor) for NaN or infinite weights, scales or
        codebooks, before any codes change, and :class:`UsageError` (kind "detached") once weights are let go.
        """
        self._check_attached()
        for name, item in self._trained.items():
            if not all(_finite(values) for values in (item.latent, *item.coded.parameters())):
                hint = "go back to a checkpoint; look for a NaN loss before it"
                raise SubbitError("has NaN or infinite weights", kind="nonfinite", tensor=name, hint=hint)
        for item in self._trained.values() if not self.frozen else ():
            if self.pull and item.latent.requires_grad:
                item.latent.lerp_(item.coded(item.latent), self.pull)
            item.coded.assign(item.latent)

    def _check_attached(self) -> None:
        """Raise once a weight is no longer computed from its codes, as after `LockIn.detach`."""
        for name in self._trained:
            path, _, leaf = name.rpartition(".")
            if not parametrize.is_parametrized(self.model.get_submodule(path), leaf):
                hint = "write the file before the lock lets its weights go"
                raise UsageError("is no longer computed from codes", kind="detached", tensor=name, hint=hint)

    def freeze(self) -> None:
        """Fix codes and signs for a last phase.

        The latent weights get no gradient, and a lock passes them over. Wrap in DistributedDataParallel anew.
        """
        self.frozen = True
        for item in self._trained.values():
            item.latent.requires_grad_(False)
            item.latent.grad = None

    @torch.no_grad()
    def to_sbit(self, path: str | PathLike[str], *, embeddings: int = 8, force: bool = False) -> Report:
        """Write the model as a `.sbit` file that decodes to the very bits the forward pass computes with.

        The trained codes are written as they are, and every coded tensor is decoded and compared. Other tensors are
        lossless, embeddings and output heads integers of `embeddings` bits in groups (16: lossless too). The report
        counts every byte; its errors are against the weights in the loop. Raises :class:`SubbitError` where a decoded
        weight differs (NaN), for an existing file (unless `force`) and a full disk; nothing half-written stays behind.
        """
        self._check_attached()
        coverage = Coverage(embeddings=embeddings)
        inside = {name: _prefix(name) for name in self._trained}
        state = {
            name: tensor
            for name, tensor in self.model.state_dict().items()
            if isinstance(tensor, torch.Tensor) and not name.startswith(tuple(inside.values()))
        }
        others, ties = untied(state)
        rows = []
        with Writer(path, force=force) as writer:
            for name in sorted([*others, *self._trained]):
                trained = name in self._trained
                try:
                    encoded, error = _exact(self._trained[name]) if trained else _kept(name, others[name], coverage)
                except SubbitError as refused:
                    raise refused.at(tensor=name) from None
                writer.add(
                    name, shape=encoded.shape, dtype=encoded.dtype, codec=encoded.codec, knobs=encoded.knobs,
                    sections=encoded.sections, covered=trained,
                )  # fmt: skip
                free = trained and self._trained[name].coded.free_signs
                rows.append(TensorReport(name, encoded.shape, encoded.codec, trained, 0, error, free))
            for name, other in ties.items():
                writer.alias(name, other)
        with open_reader(path) as file:
            sized = tuple(replace(row, bytes=file.tensors[row.name].stored_bytes) for row in rows)
            return Report(writer.path, file.size, file.weights, file.covered_bytes, file.covered_weights, sized)


def _finite(values: torch.Tensor) -> bool:
    return not values.numel() or math.isfinite(torch.linalg.vector_norm(values, math.inf).item())


def _check_codec(codec: object, lock: LockIn | None) -> None:
    """Raise for what cannot be trained, and for templates that would be of no use."""
    if type(codec) not in VALUES:
        names = ", ".join(f"subbit.{known.__name__}" for known in VALUES)
        raise UsageError(f"{codec!r} cannot be trained in the loop", kind="codec", hint=f"these can: {names}")
    if isinstance(codec, DeadZone | LowBit) and codec.rate > _MOST_BITS:
        text = f"{codec!r} has more levels than can be trained in the loop"
        raise UsageError(text, kind="codec", hint=f"choose a rate of at most {_MOST_BITS} bits")
    if lock and isinstance(codec, Codec):
        text = f"{codec!r} codes signs and magnitudes together, and would not use the lock's templates"
        raise UsageError(text, kind="codec", hint="choose magnitudes such as subbit.Vector(), or quantize lock.model")


def _bare(model: nn.Module) -> nn.Module:
    """The model inside torch.compile; a DistributedDataParallel would not average the new parameters' gradients."""
    if any(isinstance(module, nn.parallel.DistributedDataParallel) for module in model.modules()):
        text = "DistributedDataParallel does not see parameters that are added to a wrapped model"
        raise UsageError(text, kind="wrapped", hint="quantize the model, then wrap it")
    return unwrapped(model)


def _check(target: Target) -> None:
    """Raise where a weight cannot be computed from codes alone."""
    if isinstance(target.module, parametrize.ParametrizationList):
        text = "is a part of a parametrized weight"
        raise UsageError(text, kind="parametrized", tensor=target.name, hint="leave it out of targets")
    if len(target.names) > 1:
        text = f"is tied to {target.names[1]!r}, and codes would untie them"
        raise UsageError(text, kind="tied", tensor=target.name, hint="leave it out of targets")
    if not bool(torch.isfinite(target.parameter.float()).all()):
        raise SubbitError("has NaN or infinite weights", kind="nonfinite", tensor=target.name)
    if not target.parameter.count_nonzero():
        hint = "initialize it, or leave it out of targets"
        raise UsageError("is all zeros, which give codes no scale", kind="zeros", tensor=target.name, hint=hint)


def _prefix(name: str) -> str:
    """How the names of everything inside a parametrized weight begin in the model's state."""
    path, _, leaf = name.rpartition(".")
    return f"{path}.parametrizations.{leaf}." if path else f"parametrizations.{leaf}."


def _exact(trained: _Trained) -> tuple[Encoded, float]:
    """The trained codes, after making sure that they decode to the weights of the forward pass."""
    encoded = trained.coded.encoded(trained.latent)
    inside = as_array(trained.coded(trained.latent).cpu().contiguous())
    if not np.array_equal(decode(encoded).view(np.uint8), inside.view(np.uint8)):
        hint = "look for a NaN loss, and go back to a checkpoint before it"
        raise SubbitError("decodes to other weights than those that were trained", kind="nonfinite", hint=hint)
    return encoded, 0.0


def _kept(name: str, tensor: torch.Tensor, coverage: Coverage) -> tuple[Encoded, float]:
    """A tensor that is no target, as `subbit.compress` keeps those that its budget does not cover."""
    weight = as_array(tensor.cpu().contiguous())
    codec = coverage.kept_as(name, weight.shape, dtype_name(tensor.dtype)) or Dense()
    encoded = encode(weight, codec)
    return encoded, 0.0 if isinstance(codec, Dense) else relative_error(weight, decode(encoded))
