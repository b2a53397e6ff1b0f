"""What `attach` returns: keeps the signs of a model's weights to their templates while it trains."""

from __future__ import annotations

import math
from collections.abc import Mapping
from os import PathLike
from pathlib import Path
from typing import Any, NamedTuple

import torch
from torch.nn.utils import parametrize

from subbit.errors import SubbitError, UsageError
from subbit.signs import SignPlane, declared
from subbit.torch.lockin.barrier import Barrier
from subbit.torch.lockin.locked import Locked
from subbit.torch.lockin.saving import save_model

__all__ = ["KEEPS", "Flips", "LockIn"]

KEEPS = ("barrier", "project", "free")


class Flips(NamedTuple):
    """Shares of weights whose sign differs from the template's: of all together, and of each tensor."""

    total: float
    tensors: dict[str, float]


class LockIn:
    """The template-signed weights of a model; made by `attach`.

    Add :meth:`penalty` to the loss, and call :meth:`step` after `optimizer.step()` and before the gradients are
    cleared. Nothing is hooked into model or optimizer: any optimizer, accumulation of gradients, autocast, GradScaler,
    torch.compile and DistributedDataParallel work as they are. Holds one bit a weight.
    """

    def __init__(self, model: torch.nn.Module, locked: list[Locked], seed: int, keep: str, barrier: Barrier) -> None:
        self.model, self.locked, self.seed, self.keep, self.barrier = model, locked, seed, keep, barrier
        self.steps = 0

    @property
    def planes(self) -> dict[str, SignPlane]:
        """The sign plane of every locked tensor, by its name in the checkpoint."""
        return {item.name: item.plane for item in self.locked}

    @property
    def _moving(self) -> list[Locked]:
        """The locked weights that are trained; frozen ones stay as they are and need nothing."""
        return [item for item in self.locked if item.weight.requires_grad]

    def penalty(self) -> torch.Tensor:
        """The barrier's loss, a scalar to be added to the task's: 0 without a barrier, and in the first step.

        Its strength follows the gradients that :meth:`step` measures, so that it pulls on a weight at half the gap
        `Barrier.force` times as hard as the task does on average. Under accumulation treat it as part of each loss.
        """
        force = self.barrier.at(self.steps) if self.keep == "barrier" else 0.0
        total = torch.zeros((), device=self.locked[0].weight.device)
        for item in self._moving if force else []:
            if (term := item.penalty(force)) is not None:
                total = total + term.to(total.device)
        return total

    def check(self, loss: torch.Tensor) -> torch.Tensor:
        """The loss as it is: `lock.check(loss).backward()` stops a training run before a bad loss reaches a weight.

        Raises :class:`SubbitError` (kind "nonfinite") for NaN or infinity; without it :meth:`step` finds them in the
        weights, one update later. Waits for the device, as reading a loss does.
        """
        if not bool(torch.isfinite(loss).all()):
            hint = "skip this batch, or lower the learning rate"
            raise SubbitError(f"the loss is {loss.detach().float().tolist()}", kind="nonfinite", hint=hint)
        return loss

    def step(self) -> None:
        """Check the weights, then project them or measure their gradients, and advance the barrier's schedule.

        Weights that need no gradient are passed over, as after `Quantized.freeze`.
        Raises :class:`SubbitError` for NaN or infinite weights (kind "nonfinite", names the tensor), before anything is
        projected, and :class:`UsageError` (kind "gradient") where the barrier finds no gradient to measure.
        """
        moving, device = self._moving, self.locked[0].weight.device
        readings = torch.stack([item.reading().to(device) for item in moving]).tolist() if moving else []
        for item, (largest, _, _) in zip(moving, readings, strict=True):
            if not math.isfinite(largest):
                hint = "go back to a checkpoint; look for a NaN loss before it"
                raise SubbitError("has NaN or infinite weights", kind="nonfinite", tensor=item.name, hint=hint)
        if self.keep == "project":
            for item in moving:
                item.project()
        elif self.keep == "barrier" and moving:
            self._measure(moving, readings)
        self.steps += 1

    def _measure(self, moving: list[Locked], readings: list[list[float]]) -> None:
        if self.barrier.at(self.steps) and all(item.weight.grad is None for item in moving):
            hint = "call step() after optimizer.step() and before zero_grad()"
            raise UsageError("the barrier finds no gradient to measure", kind="gradient", hint=hint)
        for item, (_, squares, count) in zip(moving, readings, strict=True):
            item.observe(squares, count)

    def flips(self) -> Flips:
        """Compare all signs with the templates; zeros have no sign."""
        counts = {item.name: (item.flips(), item.weight.numel()) for item in self.locked}
        total = sum(flips for flips, _ in counts.values()) / sum(weights for _, weights in counts.values())
        return Flips(total, {name: flips / weights for name, (flips, weights) in counts.items()})

    def state_dict(self) -> dict[str, Any]:
        """What resuming needs beside the states of model and optimizer: plain numbers and strings."""
        return {
            "seed": self.seed,
            "templates": declared.to_json(self.planes),
            "steps": self.steps,
            "thresholds": {item.name: item.threshold for item in self.locked},
            "mean_squares": {item.name: item.mean_square for item in self.locked},
        }

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Go on where `state` was taken, to the same bits; the weights come from the model's own checkpoint.

        Raises :class:`UsageError` (kind "resume") for a state of another seed, other templates or other tensors.
        """
        own = self.state_dict()
        if missing := sorted(own.keys() - state.keys()):
            raise UsageError(f"the state lacks {missing[0]!r}", kind="resume")
        hint = "attach as the first run did"
        if state["seed"] != self.seed:
            raise UsageError(f"the state has seed {state['seed']}, not {self.seed}", kind="resume", hint=hint)
        if state["templates"] != own["templates"]:
            raise UsageError("the state was taken with other templates or tensors", kind="resume", hint=hint)
        for part in ("thresholds", "mean_squares"):
            if missing := sorted(own[part].keys() - state[part].keys()):
                raise UsageError(f"the state's {part} lack {missing[0]!r}", kind="resume")
        self.steps = state["steps"]
        for item in self.locked:
            item.threshold, item.mean_square = state["thresholds"][item.name], state["mean_squares"][item.name]

    def save(self, path: str | PathLike[str], *, force: bool = False) -> Path:
        """Write the model as safetensors with its templates declared in the metadata; see `saving.save_model`.

        After `quantize` it raises :class:`UsageError` (kind "quantized"): `Quantized.to_sbit` writes the trained codes.
        """
        return save_model(self.model, self.planes, path, force=force)

    def detach(self) -> None:
        """Let the weights go: corrections and codes are folded into them, and nothing is held to its template any more.

        Write codes that were trained (`Quantized.to_sbit`) before that.
        """
        for item in self.locked:
            if item.leaf == "original":
                path, _, leaf = item.name.rpartition(".")
                item.owner, item.leaf = self.model.get_submodule(path), leaf
                parametrize.remove_parametrizations(item.owner, leaf)
        self.keep = "free"
