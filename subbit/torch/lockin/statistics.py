"""What the signs of a model do during training: flips, and excursions from far out to the boundary and back."""

from __future__ import annotations

import json
import math
from collections.abc import Iterable, Mapping, Sequence
from os import PathLike
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch

from subbit.errors import SubbitError, UsageError
from subbit.kernels import kernel
from subbit.planning.coverage import matches
from subbit.signs.excursions import Excursions
from subbit.torch.lockin.classes import weight_class
from subbit.torch.state import as_array
from subbit.torch.targets import chosen, unwrapped

__all__ = ["FlipTracker"]

VERSION = 1
_AT_ONCE = 4096


class _Layer(NamedTuple):
    name: str
    parameter: torch.Tensor
    excursions: Excursions


class FlipTracker:
    """Follow the signs of a model's weights through training, beside any optimizer; changes nothing.

    >>> tracker = FlipTracker(model, rhos=(0.25, 0.5), eps=0.05, step=learning_rate)
    >>> tracker.history("flips.jsonl", every=10)
    >>> loss.backward(); optimizer.step(); tracker.update()
    >>> subbit.analysis.tails.plot_tails("flips.jsonl", "tails.png")

    ρ and ε₀ are in units of each tensor's root mean square at the start; `step` is Δ, the bound on one update in the
    weights' own unit (with Adam about the learning rate), and ε = max(ε₀, Δ). For the stopping times see
    `signs.excursions`. Holds two bits and one byte for each of at most three ρ a weight: 3.25 bytes at most, and while
    `update` runs a float32 copy of one tensor unless it lies on the CPU as float32. Counts only, so the history is
    the same for the same weights on any machine.
    """

    def __init__(
        self,
        model: torch.nn.Module | Iterable[tuple[str, torch.Tensor]],
        targets: str | Sequence[str] = "*",
        rhos: Sequence[float] = (0.25, 0.5, 1.0),
        eps: float = 0.05,
        step: float = 0.0,
    ) -> None:
        """Take the weights as they are now as t = 0.

        With a module `targets` means what it means to `attach`, and of a weight with a correction or codes the part
        that the template is for is followed; of named tensors it takes the names that fit. Raises :class:`UsageError`
        if nothing fits ("targets"), for integers ("dtype") and the meta device ("meta"), for more than three ρ, ρ ≤ ε,
        or a tensor of zeros ("rho").
        """
        self.rhos = tuple(float(rho) for rho in rhos)
        self.steps = 0
        self._path: Path | None = None
        self._every = 1
        self._layers = []
        for name, parameter in _followed(model, (targets,) if isinstance(targets, str) else tuple(targets)):
            try:
                self._layers.append(_Layer(name, parameter, _excursions(parameter, self.rhos, eps, step)))
            except SubbitError as error:
                raise error.at(tensor=name) from None

    @property
    def nbytes(self) -> int:
        """Memory that is held between steps."""
        return sum(layer.excursions.nbytes for layer in self._layers)

    def update(self) -> None:
        """Look at the weights once more; call it after every optimizer step."""
        self.steps += 1
        for layer in self._layers:
            layer.excursions.update(_values(layer.parameter))
        if self._path is not None and self.steps % self._every == 0:
            with self._path.open("a", encoding="utf-8") as file:
                file.write(json.dumps(self.record()) + "\n")

    def history(self, path: str | PathLike[str], every: int = 1) -> None:
        """From now on append a line of JSON, as `record` returns it, to `path` after every `every`-th step."""
        if every < 1:
            raise UsageError(f"a line every {every} steps is no history", kind="usage")
        self._path, self._every = Path(path), every

    def record(self) -> dict[str, Any]:
        """All counts of now: flips of the latest step and against the start by layer and class, and excursions."""
        layers: dict[str, Any] = {}
        classes: dict[str, dict[str, int]] = {}
        for name, _, found in self._layers:
            kind = weight_class(name)
            flips = {"weights": found.weights, "step_flips": found.step_flips, "init_flips": found.init_flips}
            layers[name] = {"class": kind, **flips}
            classes[kind] = {key: value + classes.get(kind, {}).get(key, 0) for key, value in flips.items()}
        return {
            "version": VERSION,
            "step": self.steps,
            **{key: sum(part[key] for part in classes.values()) for key in ("weights", "step_flips", "init_flips")},
            "total_flips": sum(layer.excursions.total_flips for layer in self._layers),
            "layers": layers,
            "classes": dict(sorted(classes.items())),
            "excursions": self.excursions(),
        }

    def excursions(self, targets: str | Sequence[str] = "*") -> list[dict[str, Any]]:
        """For every ρ the counts of `Excursions.count`, over all layers whose names fit: `k[i]` weights had K_eff = i.

        `outer` have reached ρ, `hits` the boundary after that (first hits); the last of `k` is for 31 and more.
        """
        patterns = (targets,) if isinstance(targets, str) else tuple(targets)
        layers = [layer.excursions for layer in self._layers if matches(layer.name, patterns)]
        if not layers:
            raise UsageError(f"no layer that is followed fits {patterns!r}", kind="targets", hint=self._names())
        return [{"rho": rho, **_added([part.count(i) for part in layers])} for i, rho in enumerate(self.rhos)]

    def state_dict(self) -> dict[str, Any]:
        """What resuming needs beside the model's own state: tensors and plain numbers, `nbytes` large."""
        return {
            "rhos": list(self.rhos),
            "steps": self.steps,
            "shapes": {layer.name: list(layer.parameter.shape) for layer in self._layers},
            "layers": {layer.name: _tensors(layer.excursions.state()) for layer in self._layers},
        }

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Go on where `state` was taken, to the same counts; the weights come from the model's own checkpoint.

        The thresholds are those of the first run; a history is begun again by :meth:`history`, which appends. Raises
        :class:`UsageError` (kind "resume") for a state of other tensors, shapes or ρ, before anything changes.
        """
        own = self.state_dict()
        if missing := sorted(own.keys() - state.keys()):
            raise UsageError(f"the state lacks {missing[0]!r}", kind="resume")
        for key in ("rhos", "shapes"):
            if state[key] != own[key]:
                hint = "follow the same model, targets and rhos as the first run"
                raise UsageError(f"the state has the {key} {state[key]}, not {own[key]}", kind="resume", hint=hint)
        for name, layer in own["layers"].items():
            if _layout(state["layers"].get(name, {})) != _layout(layer):
                raise UsageError("the state of this tensor is incomplete", kind="resume", tensor=name)
        self.steps = state["steps"]
        for layer in self._layers:
            layer.excursions.restore(_arrays(state["layers"][layer.name]))

    def _names(self) -> str:
        return "followed: " + ", ".join(layer.name for layer in self._layers)


def _tensors(state: Mapping[str, Any]) -> dict[str, Any]:
    return {key: torch.from_numpy(value) if isinstance(value, np.ndarray) else value for key, value in state.items()}


def _arrays(state: Mapping[str, Any]) -> dict[str, Any]:
    return {key: value.cpu().numpy() if isinstance(value, torch.Tensor) else value for key, value in state.items()}


def _layout(state: Mapping[str, Any]) -> dict[str, Any]:
    """Shape and type of every tensor, length of every list."""
    found: dict[str, Any] = {}
    for key, value in state.items():
        tensor = isinstance(value, torch.Tensor)
        found[key] = (value.shape, value.dtype) if tensor else len(value) if isinstance(value, list) else None
    return found


def _followed(
    model: torch.nn.Module | Iterable[tuple[str, torch.Tensor]], targets: tuple[str, ...]
) -> list[tuple[str, torch.Tensor]]:
    if isinstance(model, torch.nn.Module):
        return [(target.name, target.parameter) for target in chosen(unwrapped(model), targets, inside=True)]
    named = dict(model)
    found = [(name, tensor) for name, tensor in named.items() if matches(name, targets)]
    if not found:
        raise UsageError(f"{targets!r} fits no name", kind="targets", hint=f"there are {', '.join(named) or 'none'}")
    return found


def _excursions(parameter: torch.Tensor, rhos: tuple[float, ...], eps: float, step: float) -> Excursions:
    if not parameter.is_floating_point():
        raise UsageError(f"holds {parameter.dtype}, and integers have no signs to follow", kind="dtype")
    if parameter.is_meta:
        raise UsageError("lies on the meta device and has no weights", kind="meta")
    values = _values(parameter)
    scale = _root_mean_square(values)
    if rhos and not (math.isfinite(scale) and scale > 0):
        raise UsageError(
            f"has the root mean square {scale}, no scale for ρ", kind="rho", hint="leave it out of targets"
        )
    return Excursions(values, [rho * scale for rho in rhos], max(eps * scale, step) if rhos else 0.0)


def _values(parameter: torch.Tensor) -> np.ndarray:
    """The weights as a flat float32 array on the CPU; the parameter's own memory where it is that already."""
    return as_array(parameter.detach().to("cpu", torch.float32).contiguous()).reshape(-1)


def _root_mean_square(values: np.ndarray) -> float:
    """Summed in an order that no machine changes."""
    rows = values[: values.size // _AT_ONCE * _AT_ONCE].reshape(-1, _AT_ONCE)
    squares = np.zeros(len(rows) + 1)
    kernel("rows").row_squares(rows, squares[:-1])
    kernel("rows").row_squares(values[rows.size :][None], squares[-1:])
    return math.sqrt(math.fsum(squares) / max(1, values.size))


def _added(counts: list[dict[str, Any]]) -> dict[str, Any]:
    total = {key: sum(count[key] for count in counts) for key in ("outer", "hits", "missed")}
    return {**total, "k": [sum(column) for column in zip(*(count["k"] for count in counts), strict=True)]}
