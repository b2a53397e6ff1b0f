"""Calibrating a model block by block: forward with the hidden states kept, then gradients in reverse."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Any

import numpy as np
import torch

from subbit.model.statistics import LayerMoments
from subbit.torch.calibration.blocks import Blocks
from subbit.torch.calibration.collect import Collector
from subbit.torch.calibration.fisher import backward
from subbit.torch.calibration.spool import Spool
from subbit.torch.targets import Target

__all__ = ["Stream"]

_States = Sequence[np.ndarray]

_on_disk = partial(Spool, 0)


@dataclass
class Stream:
    """One run over all batches. `load` brings the weights of a block into memory before it is used, `release` lets them
    go; `inside` are the targets of each block, `outside` all others.

    Without `fisher` every block is computed once. With it, the forward pass keeps the input of each block, and the
    backward pass computes each block again, for moments and gradients at once. `units` counts those of the loss.
    """

    passes: Blocks
    batches: Sequence[Mapping[str, Any]]
    inside: Sequence[Sequence[Target]]
    outside: Sequence[Target]
    load: Callable[[int], None]
    release: Callable[[int], None]
    fisher: bool
    generator: torch.Generator
    report: Callable[[int, int, str], None]
    units: int = 0
    _moments: Spool = field(default_factory=_on_disk)
    _found: dict[str, LayerMoments] = field(default_factory=dict)

    def layers(self) -> dict[str, LayerMoments]:
        """Run, and return the moments of every target that was reached."""
        blocks = len(self.inside)
        steps = blocks * (2 if self.fisher else 1)
        outer = Collector(self.outside, self.fisher)
        states = [self._embed()]
        for k in range(blocks):
            self.report(k, steps, f"block {k}")
            after = self._forward(k, states[-1])
            states = [*states, after] if self.fisher else [after]
        gradients = self._head(outer, states.pop())
        for k in reversed(range(blocks if self.fisher else 0)):
            self.report(2 * blocks - 1 - k, steps, f"block {k}")
            gradients = self._backward(k, states.pop(), gradients)
        if self.fisher:
            self._embed_backward(outer, gradients)
        self._keep(outer)
        self.report(steps, steps, "")
        return self._found

    def _states(self) -> Spool:
        """Room for hidden states: those of all blocks wait for the way back, and would be more the deeper the model."""
        return _on_disk() if self.fisher else Spool()

    def _embed(self) -> _States:
        states = self._states()
        with torch.no_grad():
            for batch in self.batches:
                states.append(self.passes.first_input(batch).numpy())
        return states

    def _forward(self, k: int, before: _States) -> _States:
        collector = Collector(() if self.fisher else self.inside[k], fisher=False)
        self.load(k)
        after = self._states()
        with torch.no_grad():
            for batch, states in zip(self.batches, before, strict=True):
                with collector.watch():
                    output = self.passes.run(k, batch, torch.from_numpy(states))
                collector.moments.flush()
                after.append(output.numpy())
        self._keep(collector)  # it looks at the shapes of the weights
        self.release(k)
        return after

    def _head(self, outer: Collector, before: _States) -> _States:
        """The rest of the model and the loss: gradients in the hidden states after the last block."""
        gradients = Spool()
        for batch, states in zip(self.batches, before, strict=True):
            hidden = torch.from_numpy(states).requires_grad_(self.fisher)
            with outer.watch(), torch.set_grad_enabled(self.fisher):
                output = self.passes.head(batch, hidden)
            if self.fisher:
                self.units += backward(output, batch, None, self.generator)
                gradients.append(_gradient(hidden))
            outer.moments.flush()
        outer.fisher.units = self.units
        return gradients

    def _backward(self, k: int, before: _States, gradients: _States) -> _States:
        collector, passed = Collector(self.inside[k], fisher=True), Spool()
        collector.fisher.units = self.units
        self.load(k)
        for batch, states, gradient in zip(self.batches, before, gradients, strict=True):
            hidden = torch.from_numpy(states).requires_grad_()
            with collector.watch(), torch.enable_grad():
                output = self.passes.run(k, batch, hidden)
            output.backward(torch.from_numpy(gradient))  # type: ignore[no-untyped-call]
            collector.moments.flush()
            passed.append(_gradient(hidden))
        self._keep(collector)  # it looks at the shapes of the weights
        self.release(k)
        return passed

    def _embed_backward(self, outer: Collector, gradients: _States) -> None:
        """Gradients of targets before the first block, such as the patches of a vision model."""
        for batch, gradient in zip(self.batches, gradients, strict=True):
            with outer.watch(), torch.enable_grad():
                first = self.passes.first_input(batch)
            outer.moments.drop()
            if not first.requires_grad:
                return
            first.backward(torch.from_numpy(gradient))  # type: ignore[no-untyped-call]

    def _keep(self, collector: Collector) -> None:
        self._found |= collector.layers(self._moments.keep)


def _gradient(hidden: torch.Tensor) -> np.ndarray:
    assert hidden.grad is not None
    found: np.ndarray = hidden.grad.numpy()
    return found
