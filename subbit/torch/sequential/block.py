"""One block: collect what the original does, then encode stage after stage and see what is left of it."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import ExitStack
from functools import partial
from typing import TYPE_CHECKING

import numpy as np
import torch

from subbit.curvature import Curvature
from subbit.model.compressing import Job
from subbit.torch.calibration.blocks import Blocks
from subbit.torch.calibration.spool import Spool
from subbit.torch.sequential.lanes import Lane, Workers
from subbit.torch.sequential.passes import Passes, Seen
from subbit.torch.sequential.residual import writers
from subbit.torch.sequential.solving import Products, solve
from subbit.torch.sequential.stages import Stage, stages, tokens
from subbit.torch.targets import Target

if TYPE_CHECKING:
    from subbit.torch.sequential.driver import Sequential

__all__ = ["Block", "States"]

States = Sequence[np.ndarray]
Kept = tuple[Spool, Spool]
"""By batch: the inputs of a stage, and the residual stream that it writes to; the second is empty where it does not."""


class Block:
    """Block `index` of a model with its targets; `where` names them in the checkpoint."""

    def __init__(
        self,
        options: Sequential,
        job: Job,
        where: Mapping[str, str],
        targets: Sequence[Target],
        blocks: Blocks,
        index: int,
        workers: Workers,
    ) -> None:
        self._options = options
        self._job = job
        self._where = where
        self._targets = targets
        self._passes = Passes(blocks, index, targets)
        self._workers = workers

    def through(self, original: States, compressed: States) -> tuple[States, States]:
        """Hidden states before the block, original and compressed → those after it; its weights are encoded."""
        self._look(original[0])
        after, kept = self._originals(original)
        with ExitStack() as stack:
            lanes = [Lane(partial(self._pass, b, states)) for b, states in enumerate(compressed)]
            for lane in lanes:
                stack.callback(lane.close)
            for stage, seen in zip(self._passes.stages, kept, strict=True):
                self._encode(stage, self._products(stage, lanes, seen))
            passed = _spooled(self._workers.map(lambda b: lanes[b].advance().numpy(), lanes))
        late = [target for target in self._targets if self._where[target.name] not in self._job.done]
        for target in late:
            self._replace(target, self._job.add(self._where[target.name]))
        if late:  # the lanes have passed them as they were
            again = self._workers.map(lambda b: self._pass(b, compressed[b], _ignore).numpy(), compressed)
            passed = _spooled(again)
        return after, passed

    def _look(self, states: np.ndarray) -> None:
        """Find stages and writers by one pass."""
        hidden = torch.from_numpy(states)
        reads, after = self._passes.reads(self._options.batches[0], hidden)
        self._passes.stages = stages(reads, len(tokens(hidden)))
        if self._options.residual:
            self._passes.writers = writers(hidden, after, {read.target.name: read.output for read in reads})

    def _pass(self, batch: int, states: np.ndarray, stop: Callable[[Seen], None]) -> torch.Tensor:
        return self._passes.run(self._options.batches[batch], torch.from_numpy(states), stop)

    def _originals(self, original: States) -> tuple[States, list[Kept]]:
        """States after the block, and for each stage what it reads."""

        def task(b: int) -> tuple[torch.Tensor, list[Seen]]:
            seen: list[Seen] = []
            return self._pass(b, original[b], seen.append), seen

        after = Spool()
        kept: list[Kept] = [(Spool(), Spool()) for _ in self._passes.stages]
        for output, seen in self._workers.map(task, original):
            after.append(output.numpy())
            for (before, streams), (inputs, stream) in zip(kept, seen, strict=True):
                before.append(inputs.numpy())
                if stream is not None:
                    streams.append(stream.numpy())
        return after, kept

    def _products(self, stage: Stage, lanes: list[Lane], kept: Kept) -> tuple[Products, Products]:
        """Of every other batch, and of those between; each lane waits before the stage then."""

        def task(b: int) -> Products:
            inputs, stream = lanes[b].advance()
            lost = torch.from_numpy(wanted[b]) - stream if wanted else None
            return Products.of(torch.from_numpy(before[b]), inputs, lost)

        before, wanted = kept
        folds: list[Products | None] = [None, None]
        for b, found in enumerate(self._workers.map(task, lanes)):
            fold = folds[b % 2]
            folds[b % 2] = found if fold is None else fold.add(found)
        first, second = folds
        assert first is not None
        return first, second or first.nothing()

    def _encode(self, stage: Stage, folds: tuple[Products, Products]) -> None:
        moments = (folds[0] + folds[1]).moments().numpy()
        free = [target for target in stage.targets if self._options.free(self._job, self._where[target.name])]
        writes = [target.name in self._passes.writers for target in free]
        solved = solve(folds, [target.parameter.data for target in free], writes) if free else []
        goals = {target.name: goal.numpy() for target, goal in zip(free, solved, strict=True)}
        for target in stage.targets:
            name = self._where[target.name]
            known = self._options.statistics.get(name)
            rows = np.ones(len(target.parameter), np.float32) if known is None else known.rows
            self._replace(target, self._job.add(name, goals.get(target.name), Curvature(moments, rows)))

    @staticmethod
    def _replace(target: Target, decoded: np.ndarray | None) -> None:
        if decoded is not None:
            target.parameter.data.copy_(torch.from_numpy(decoded.astype(np.float32)).view_as(target.parameter))


def _spooled(states: Iterable[np.ndarray]) -> States:
    spool = Spool()
    for each in states:
        spool.append(each)
    return spool


def _ignore(seen: Seen) -> None:
    pass
