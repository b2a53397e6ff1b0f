"""Calibrating a model block by block: forward with the hidden states kept, then gradients in reverse."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
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

_States = list[np.ndarray]


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
    _spool: Spool = field(default_factory=Spool)
    _found: dict[str, LayerMoments] = field(default_factory=dict)

    def layers(self) -> dict[str, LayerMoments]:
        """Run, and return the moments of every target that was reached."""
        blocks = len(self.inside)
        steps = blocks * (2 if self.fisher else 1)
        outer = Collector(self.outside, self.fisher)
        spool = Spool()
        states = [self._embed(spool)]
        for k in range(blocks):
            self.report(k, steps, f"block {k}")
            after = self._forward(k, states[-1], spool if self.fisher else Spool())
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

    def _embed(self, spool: Spool) -> _States:
        with torch.no_grad():
            return [spool.keep(self.passes.first_input(batch).numpy()) for batch in self.batches]

    def _forward(self, k: int, before: _States, spool: Spool) -> _States:
        collector = Collector(() if self.fisher else self.inside[k], fisher=False)
        self.load(k)
        after = []
        with torch.no_grad():
            for batch, states in zip(self.batches, before, strict=True):
                with collector.watch():
                    output = self.passes.run(k, batch, torch.from_numpy(states))
                collector.moments.flush()
                after.append(spool.keep(output.numpy()))
        self._keep(collector)  # it looks at the shapes of the weights
        self.release(k)
        return after

    def _head(self, outer: Collector, before: _States) -> _States:
        """The rest of the model and the loss: gradients in the hidden states after the last block."""
        gradients, spool = [], Spool()
        for batch, states in zip(self.batches, before, strict=True):
            hidden = torch.from_numpy(states).requires_grad_(self.fisher)
            with outer.watch(), torch.set_grad_enabled(self.fisher):
                output = self.passes.head(batch, hidden)
            if self.fisher:
                self.units += backward(output, batch, None, self.generator)
                gradients.append(spool.keep(_gradient(hidden)))
            outer.moments.flush()
        outer.fisher.units = self.units
        return gradients

    def _backward(self, k: int, before: _States, gradients: _States) -> _States:
        collector, spool = Collector(self.inside[k], fisher=True), Spool()
        collector.fisher.units = self.units
        self.load(k)
        passed = []
        for batch, states, gradient in zip(self.batches, before, gradients, strict=True):
            hidden = torch.from_numpy(states).requires_grad_()
            with collector.watch(), torch.enable_grad():
                output = self.passes.run(k, batch, hidden)
            output.backward(torch.from_numpy(gradient))  # type: ignore[no-untyped-call]
            collector.moments.flush()
            passed.append(spool.keep(_gradient(hidden)))
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
        self._found |= collector.layers(self._spool.keep)


def _gradient(hidden: torch.Tensor) -> np.ndarray:
    assert hidden.grad is not None
    found: np.ndarray = hidden.grad.numpy()
    return found
