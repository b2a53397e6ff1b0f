"""The tuning loop: batches in a seeded order, gradients of several at once, a schedule, held-out early stopping."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

import torch

from subbit.torch.healing.adam import FlatAdam
from subbit.torch.healing.objectives import Objective
from subbit.torch.healing.state import Figures, State

__all__ = ["Budget", "Tuner"]

_WARM_UP = 0.04
_CHECKS = 12  # held-out evaluations in a run
_PATIENCE = 0.35  # of the budget without progress ends it
_EVALUATION_SHARE = 0.1  # of the time at most
_KEPT_BYTES = 2 << 30  # of targets


@dataclass(frozen=True)
class Budget:
    """How long to tune: a number of steps, or seconds."""

    steps: int | None = None
    seconds: float = 1200.0

    def done(self, step: int, seconds: float) -> float:
        """The share that is used up, 0 … 1."""
        return min(1.0, step / self.steps if self.steps is not None else seconds / self.seconds)


class Tuner:
    """Tunes the numbers of `optimizer` so that the loss of `objective` falls.

    A step is the mean gradient of `workers` batches, each computed in a thread of its own that uses one core: products
    of a few hundred rows do not fill more. Gradients are added in the order of the batches, so that a run is repeated
    by its seed, its number of workers and its number of steps.
    """

    def __init__(
        self,
        objective: Objective,
        optimizer: FlatAdam,
        train: Sequence[Any],
        held: Sequence[Any],
        budget: Budget,
        rate: float,
        seed: int,
        workers: int,
    ) -> None:
        self.objective, self.optimizer, self.budget, self.rate, self.seed = objective, optimizer, budget, rate, seed
        self.state, self.best = State(), optimizer.values.clone()
        self.stopped = ""
        self._train, self._held, self._workers = list(train), list(held), workers
        self._targets: dict[tuple[bool, int], Any] = {}
        self._kept = 0
        self._pool = ThreadPoolExecutor(workers) if workers > 1 else None
        self._started = time.monotonic()

    def tensors(self) -> dict[str, torch.Tensor]:
        """All that a run needs to go on, beside its state."""
        held = self.optimizer
        return {"values": held.values, "first": held.first, "second": held.second, "best": self.best}

    def restore(self, state: State, tensors: dict[str, torch.Tensor]) -> None:
        """Go on from there."""
        self.state, self.optimizer.steps = state, state.step
        self._started -= state.seconds
        for name, tensor in self.tensors().items():
            tensor.copy_(tensors[name])

    def evaluate(self) -> Figures:
        """Held-out figures as things are."""
        return Figures.of(sum(self._map(self._sums, range(len(self._held))), torch.zeros(4, dtype=torch.float64)))

    def run(self, save: Callable[[], None], progress: Callable[[float, str], None] | None) -> None:
        """Tune until the budget ends, nothing improves, or a loss is not finite; leaves the best numbers in place."""
        state = self.state
        if state.before is None:
            began = time.monotonic()
            state.before = self.evaluate()
            self._check_seconds = time.monotonic() - began
            state.best = state.before.loss
            self._check(0.0)
            save()
        else:
            self._check_seconds = self.budget.seconds / 50
        since, checked_step = time.monotonic(), state.step
        while not self.stopped:
            used = self._used()
            if progress is not None:
                progress(used, f"loss {state.history[-1][1]:.4f}")
            due = state.step > checked_step and self._due(checked_step, time.monotonic() - since)
            if due or used >= 1:
                self._check(used)
                state.seconds = time.monotonic() - self._started
                save()
                since, checked_step = time.monotonic(), state.step
            if used >= 1:
                self.stopped = self.stopped or "budget"
            elif not self.stopped:
                self._step(used)
        with torch.no_grad():
            self.optimizer.values.copy_(self.best)

    def _used(self) -> float:
        return self.budget.done(self.state.step, time.monotonic() - self._started)

    def _due(self, checked_step: int, seconds: float) -> bool:
        if self.budget.steps is not None:
            return self.state.step - checked_step >= max(1, self.budget.steps // _CHECKS)
        return seconds >= max(self.budget.seconds / _CHECKS, self._check_seconds / _EVALUATION_SHARE)

    def _check(self, used: float) -> None:
        """Measure; keep the numbers if they are the best; decide whether it is time to stop."""
        state = self.state
        loss = state.before.loss if state.step == 0 and state.before else self.evaluate().loss
        state.history.append((state.step, loss))
        if loss < state.best:
            state.best, state.best_step, state.best_used = loss, state.step, used
            self.best.copy_(self.optimizer.values)
        if not math.isfinite(loss):
            self.stopped = "nonfinite"
        elif used - state.best_used >= _PATIENCE:
            self.stopped = "early"

    def _step(self, used: float) -> None:
        indices = [self._index(self.state.step * self._workers + k) for k in range(self._workers)]
        gradient = sum(self._map(self._gradient, indices), torch.zeros_like(self.optimizer.values)) / self._workers
        if not bool(torch.isfinite(gradient.sum())):
            self.stopped = "nonfinite"
            return
        warm = min(1.0, used / _WARM_UP + 1 / (1 + self.budget.steps * _WARM_UP if self.budget.steps else 10))
        self.optimizer.step(gradient, self.rate * warm * 0.5 * (1 + math.cos(math.pi * used)))
        self.state.step += 1

    def _index(self, position: int) -> int:
        """The batch at a position of the training order: each epoch is a permutation drawn from the seed."""
        epoch, place = divmod(position, len(self._train))
        generator = torch.Generator().manual_seed((self.seed << 20) + epoch)
        return int(torch.randperm(len(self._train), generator=generator)[place])

    def _gradient(self, index: int) -> torch.Tensor:
        batch = self._train[index]
        return self.optimizer.gradient(self.objective.loss(batch, self._target(False, index, batch)))

    def _sums(self, index: int) -> torch.Tensor:
        batch = self._held[index]
        return self.objective.sums(batch, self._target(True, index, batch))

    def _target(self, held: bool, index: int, batch: Any) -> Any:
        """The teacher's side of a batch, computed once while there is room."""
        if (held, index) in self._targets:
            return self._targets[held, index]
        target = self.objective.target(batch)
        if isinstance(target, torch.Tensor) and self._kept < _KEPT_BYTES:
            self._kept += target.nbytes
            self._targets[held, index] = target
        return target

    def _map(self, task: Callable[[int], torch.Tensor], indices: Sequence[int]) -> list[torch.Tensor]:
        if self._pool is None:
            return [task(index) for index in indices]
        before = torch.get_num_threads()
        torch.set_num_threads(1)
        try:
            return list(self._pool.map(task, indices))
        finally:
            torch.set_num_threads(before)
