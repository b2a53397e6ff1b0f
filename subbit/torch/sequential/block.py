"""One block: collect what the original does, then encode stage after stage and see what is left of it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import partial
from typing import TYPE_CHECKING

import numpy as np
import torch

from subbit.curvature import Curvature
from subbit.model.compressing import Job
from subbit.torch.calibration.blocks import Blocks
from subbit.torch.calibration.spool import Spool
from subbit.torch.calibration.watching import Read
from subbit.torch.sequential.residual import writers
from subbit.torch.sequential.solving import Products, solve
from subbit.torch.sequential.stages import Stage, stages, tokens, watched
from subbit.torch.targets import Target

if TYPE_CHECKING:
    from subbit.torch.sequential.driver import Sequential

__all__ = ["Block"]

States = list[np.ndarray]


class Block:
    """Block `index` of a model with its targets; `where` names them in the checkpoint."""

    def __init__(
        self,
        options: Sequential,
        job: Job,
        where: Mapping[str, str],
        targets: Sequence[Target],
        passes: Blocks,
        index: int,
    ) -> None:
        self._options = options
        self._job = job
        self._where = where
        self._targets = targets
        self._passes = passes
        self._index = index
        self._writers: list[str] = []

    def through(self, original: States, compressed: States) -> tuple[States, States]:
        """Hidden states before the block, original and compressed → those after it; its weights are encoded."""
        found = self._stages(original[0])
        after, inputs, streams = self._originals(original, found)
        for number, stage in enumerate(found):
            self._encode(stage, self._products(stage, compressed, inputs[number], streams[number]))
        for target in self._targets:
            if self._where[target.name] not in self._job.done:
                self._replace(target, self._job.add(self._where[target.name]))
        spool = Spool()
        return after, [spool.keep(self._run(b, states)[1].numpy()) for b, states in enumerate(compressed)]

    def _stages(self, states: np.ndarray) -> list[Stage]:
        hidden = torch.from_numpy(states)
        found = stages(self._targets, partial(self._passes.run, self._index, self._options.batches[0], hidden))
        if self._options.residual:
            reads, after = self._run(0, states)
            self._writers = writers(hidden, after, {name: read.output for name, read in reads.items()})
        return found

    def _run(self, batch: int, states: np.ndarray, last: str | None = None) -> tuple[dict[str, Read], torch.Tensor]:
        run = partial(self._passes.run, self._index, self._options.batches[batch], torch.from_numpy(states))
        reads, after = watched(self._targets, run, last)
        return reads, torch.empty(0) if after is None else after

    def _originals(self, original: States, found: list[Stage]) -> tuple[States, list[States], list[States]]:
        """States after the block, and for each stage its inputs and the residual stream that it writes to."""
        spool = Spool()
        after: States = []
        inputs: list[States] = [[] for _ in found]
        streams: list[States] = [[] for _ in found]
        for b, states in enumerate(original):
            reads, output = self._run(b, states)
            after.append(spool.keep(output.numpy()))
            for number, stage in enumerate(found):
                inputs[number].append(spool.keep(tokens(reads[stage.first].input).numpy()))
                if self._writes(stage):
                    streams[number].append(spool.keep(self._stream(stage, states, reads).numpy()))
        return after, inputs, streams

    def _products(self, stage: Stage, compressed: States, inputs: States, streams: States) -> tuple[Products, Products]:
        """Of every other batch, and of those between."""
        width, writes = inputs[0].shape[1], self._writes(stage)
        outputs = streams[0].shape[1] if writes else None
        folds = Products.zeros(width, outputs), Products.zeros(width, outputs)
        for b, states in enumerate(compressed):
            reads, _ = self._run(b, states, stage.first)
            lost = torch.from_numpy(streams[b]) - self._stream(stage, states, reads) if writes else None
            folds[b % 2].add(torch.from_numpy(inputs[b]), tokens(reads[stage.first].input), lost)
        return folds

    def _encode(self, stage: Stage, folds: tuple[Products, Products]) -> None:
        moments = (folds[0] + folds[1]).moments().numpy()
        free = [target for target in stage.targets if self._options.free(self._job, self._where[target.name])]
        writes = [target.name in self._writers for target in free]
        solved = solve(folds, [target.parameter.data for target in free], writes) if free else []
        goals = {target.name: goal.numpy() for target, goal in zip(free, solved, strict=True)}
        for target in stage.targets:
            name = self._where[target.name]
            known = self._options.statistics.get(name)
            rows = np.ones(len(target.parameter), np.float32) if known is None else known.rows
            self._replace(target, self._job.add(name, goals.get(target.name), Curvature(moments, rows)))

    def _writes(self, stage: Stage) -> bool:
        return any(target.name in self._writers for target in stage.targets)

    def _stream(self, stage: Stage, states: np.ndarray, reads: Mapping[str, Read]) -> torch.Tensor:
        """The residual stream before a stage: the block's input and what the writers of earlier stages added."""
        own = {target.name for target in stage.targets}
        earlier = [name for name in self._writers if name in reads and name not in own]
        stream = tokens(torch.from_numpy(states))
        for name in earlier[: self._before(stage)]:
            stream = stream + tokens(reads[name].output)
        return stream

    def _before(self, stage: Stage) -> int:
        """How many writers come before a stage."""
        return min(self._writers.index(t.name) for t in stage.targets if t.name in self._writers)

    @staticmethod
    def _replace(target: Target, decoded: np.ndarray | None) -> None:
        if decoded is not None:
            target.parameter.data.copy_(torch.from_numpy(decoded.astype(np.float32)).view_as(target.parameter))
