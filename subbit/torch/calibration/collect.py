"""Calibrating any torch module: batches through it, moments of what its weights read and write out of it."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence, Sized
from contextlib import contextmanager
from typing import Any

import numpy as np
import torch
from torch import nn

from subbit.errors import SubbitError
from subbit.model.compressing import Progress
from subbit.model.statistics import LayerMoments, Statistics, content_hash
from subbit.records import Shape
from subbit.torch.calibration.fisher import Fisher, Loss, backward
from subbit.torch.calibration.moments import Moments, Part
from subbit.torch.calibration.watching import Read, Watch
from subbit.torch.targets import Target, chosen, unwrapped
from subbit.version import __version__

__all__ = ["Collector", "calibrate", "ready", "run", "statistics"]

_NAMES_SHOWN = 6


def calibrate(
    model: nn.Module,
    data: Iterable[Any],
    targets: str | Sequence[str] = "*",
    fisher: bool = True,
    loss: Loss | None = None,
    progress: Progress | None = None,
    seed: int = 0,
) -> Statistics:
    """Run every batch through the model in eval mode and measure what its weights read and write.

    A batch is a tensor, a tuple or a dict, and the model is called as `model(tensor)`, `model(*tuple)` or
    `model(**dict)`: leave labels out. `targets` are patterns of parameter names; "*" takes the weights of linear and
    convolution layers and fused experts, without embeddings and heads, which their full name adds.

    Rows are ½ E[g²], g the gradient of the loss in the layer's output, so that `Curvature.error` estimates the loss
    that is added, per position of the logits or else per sample. The loss is that of `fisher.backward`: cross entropy
    with labels sampled by `seed` from the model's logits (the true Fisher), for other outputs half the squared change
    of the output; or the caller's `loss(output, batch)`, a mean over the batch. `fisher=False` makes all rows 1.

    The model is left as it was. Memory: the model, activations of one batch, and inputs² floats a layer. Weights that
    no batch reached are left out with a warning, experts get the mean of the others. The moments come from floating
    matrix products: equal to rounding on another machine, not to the bit. Raises :class:`SubbitError` for no data
    (kind "data"), for outputs and losses without use ("loss"), and for NaN in what a weight reads ("statistics").
    """
    inner = unwrapped(model)
    found = chosen(inner, (targets,) if isinstance(targets, str) else tuple(targets))
    collector = Collector(found, fisher)
    generator = torch.Generator().manual_seed(seed)
    with ready(inner):
        done = run(model, data, collector, loss, generator, progress)
    if not done:
        raise SubbitError("the data holds no batch", kind="data", hint="an iterator serves once: pass a list")
    layers = collector.layers()
    by_name = {target.name: target.parameter for target in found}
    hashed = content_hash((name, _array(by_name[name])) for name in sorted(layers))
    provenance = {"batches": str(done), "fisher": str(fisher).lower(), "seed": str(seed), "model": hashed}
    return statistics(layers, provenance)


def run(
    model: nn.Module, data: Iterable[Any], collector: Collector, loss: Loss | None, generator: torch.Generator,
    progress: Progress | None,
) -> int:  # fmt: skip
    """All batches through the whole model; how many there were."""
    total, done = len(data) if isinstance(data, Sized) else 0, 0
    for batch in data:
        if progress is not None:
            progress("calibrate", done, max(total, done + 1), "")
        with collector.watch(), torch.set_grad_enabled(collector.wants_fisher):
            output = _call(model, batch)
        if collector.wants_fisher:
            collector.fisher.units += backward(output, batch, loss, generator)
        collector.moments.flush()
        done += 1
    return done


def statistics(layers: Mapping[str, LayerMoments], provenance: Mapping[str, str]) -> Statistics:
    """The result, with what measured it; a :class:`SubbitError` where nothing was measured."""
    if not layers:
        raise SubbitError("no weight was reached", kind="statistics", hint="do the batches run through the targets?")
    return Statistics(layers, {**provenance, "subbit": __version__, "torch": torch.__version__})


def _held(array: np.ndarray) -> Callable[[], np.ndarray]:
    return lambda: array


class Collector:
    """Moments and Fisher of some targets, while a model runs inside `watch`."""

    def __init__(self, targets: Sequence[Target], fisher: bool) -> None:
        self.targets = list(targets)
        self.moments = Moments()
        self.fisher = Fisher()
        self.wants_fisher = fisher
        self._transposed: set[str] = set()

    def watch(self) -> Watch:
        """A context in which every multiplication by a target counts."""
        return Watch(self.targets, self._saw)

    def _saw(self, read: Read) -> None:
        self.moments.read(read)
        if self.wants_fisher:
            self.fisher.watch(read)
        if read.transposed:
            self._transposed.add(read.target.name)

    def layers(self, keep: Callable[[np.ndarray], Callable[[], np.ndarray]] = _held) -> dict[str, LayerMoments]:
        """What was measured, its arrays where `keep` puts them; the collector keeps none."""
        holders: dict[Any, tuple[str, Shape, Callable[[], np.ndarray]]] = {}
        found: dict[str, LayerMoments] = {}
        absent: list[str] = []
        deaf: list[str] = []
        for target in self.targets:
            parts = self._parts(target)
            keys = tuple(self.moments.inputs(part) for part in parts)
            if not any(keys):
                absent.append(target.name)
                continue
            if keys not in holders:
                measured = self._columns(target, keys)
                holders[keys] = target.name, measured.shape, keep(measured)
            name, extent, columns = holders[keys]
            rows = self._rows(target, parts, extent)
            if rows is None:
                deaf.append(target.name)
                continue
            shape = tuple(target.parameter.shape)
            found[target.name] = LayerMoments(shape, name, columns, keep(rows), target.name in self._transposed)
        for keys in holders:
            for key in keys:
                self.moments.forget(key)
        _warn(absent, "no batch reached {}: no statistics of them")
        _warn(deaf, "the loss does not depend on {}: no statistics of them")
        return found

    def _parts(self, target: Target) -> list[Part]:
        """The whole weight, or its experts where they were seen one by one."""
        experts = [Part(target.name, k) for k in range(len(target.parameter))] if target.parameter.ndim == 3 else []
        return experts if any(self.moments.inputs(part) for part in experts) else [Part(target.name)]

    def _columns(self, target: Target, keys: tuple[Any, ...]) -> np.ndarray:
        """(groups, width, width); experts that saw nothing get the mean of the others."""
        if len(keys) == 1:
            return _checked(self.moments.mean(keys[0]), target)
        seen = [k for k, key in enumerate(keys) if key]
        first = _checked(self.moments.mean(keys[seen[0]]), target)
        columns = np.zeros((len(keys), *first.shape[1:]), np.float32)
        for k in seen:
            columns[k] = _checked(self.moments.mean(keys[k]), target)[0]
        unseen = [k for k, key in enumerate(keys) if not key]
        columns[unseen] = columns[seen].mean(axis=0)
        _warn([f"{target.name}[{k}]" for k in unseen], "no token reached {}: they get the mean of the other experts")
        return columns

    def _rows(self, target: Target, parts: list[Part], columns: Shape) -> np.ndarray | None:
        """(groups, outputs): the Fisher, or ones; None where no gradient arrived. `columns` is the moments' shape."""
        groups, inputs = columns[:2]
        outputs = target.parameter.numel() // (groups * inputs)
        if not self.wants_fisher:
            return np.ones((groups, outputs), np.float32)
        rows = [self.fisher.rows(part) for part in parts]
        seen = [found for found in rows if found is not None]
        if not seen:
            return None
        mean = sum(seen[1:], seen[0]) / len(seen)
        return _checked(torch.cat([mean if found is None else found for found in rows]), target)


def _call(model: nn.Module, batch: Any) -> Any:
    if isinstance(batch, Mapping):
        return model(**batch)
    return model(*batch) if isinstance(batch, (tuple, list)) else model(batch)


@contextmanager
def ready(model: nn.Module) -> Iterator[None]:
    """Eval mode and frozen parameters, experts one by one; all as before afterwards."""
    training = [module for module in model.modules() if module.training]
    wanted = [parameter for parameter in model.parameters() if parameter.requires_grad]
    configs: list[Any] = [module.config for module in model.modules() if _dispatches(module)]
    experts = [(config, config._experts_implementation) for config in configs]
    model.eval().requires_grad_(False)
    for config, _ in experts:
        config._experts_implementation = "eager"
    try:
        yield
    finally:
        for module in training:
            module.training = True
        for parameter in wanted:
            parameter.requires_grad_(True)
        for config, before in experts:
            config._experts_implementation = before


def _dispatches(module: nn.Module) -> bool:
    """Whether transformers chooses how the experts of this module are multiplied."""
    return getattr(getattr(module, "config", None), "_experts_implementation", None) is not None


def _array(parameter: torch.Tensor) -> np.ndarray:
    found: np.ndarray = parameter.detach().float().cpu().numpy()
    return found


def _checked(values: torch.Tensor, target: Target) -> np.ndarray:
    if not bool(torch.isfinite(values).all()):
        text = "what it reads or writes is NaN or infinite"
        raise SubbitError(text, kind="statistics", tensor=target.name, hint="is the model whole, and the data?")
    found: np.ndarray = values.cpu().numpy()
    return found


def _warn(names: list[str], text: str) -> None:
    if names:
        more = f" and {len(names) - _NAMES_SHOWN} more" if len(names) > _NAMES_SHOWN else ""
        warnings.warn(text.format(", ".join(names[:_NAMES_SHOWN]) + more), stacklevel=3)
