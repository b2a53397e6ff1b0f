"""One batch through one block: what the block's stages read, and the residual stream that they write to."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch

from subbit.torch.calibration.blocks import Blocks
from subbit.torch.calibration.watching import Read, Watch
from subbit.torch.sequential.stages import Stage, tokens
from subbit.torch.targets import Target

__all__ = ["Passes", "Seen"]

Seen = tuple[torch.Tensor, torch.Tensor | None]
"""What a stage reads, (tokens, inputs), and the residual stream where one of its weights writes to it."""


@dataclass
class Passes:
    """Passes through block `index`; `writers` are the weights that write to the residual stream."""

    blocks: Blocks
    index: int
    targets: Sequence[Target]
    stages: Sequence[Stage] = ()
    writers: Sequence[str] = ()

    def reads(self, batch: Mapping[str, Any], states: torch.Tensor) -> tuple[list[Read], torch.Tensor]:
        """All that is read, in order, and the states after the block."""
        reads: list[Read] = []
        with Watch(self.targets, reads.append):
            return reads, self.blocks.run(self.index, batch, states)

    def run(self, batch: Mapping[str, Any], states: torch.Tensor, stop: Callable[[Seen], None]) -> torch.Tensor:
        """The states after the block; `stop` is called before each stage."""
        stream, waiting = tokens(states), list(reversed(self.stages))

        def about(target: Target, x: torch.Tensor) -> None:
            if waiting and target.name == waiting[-1].first:
                stage = waiting.pop()
                stop((tokens(x), stream if self.writes(stage) else None))

        def saw(read: Read) -> None:
            nonlocal stream
            if read.target.name in self.writers:
                stream = stream + tokens(read.output)

        with Watch(self.targets, saw, about):
            return self.blocks.run(self.index, batch, states)

    def writes(self, stage: Stage) -> bool:
        """Whether a weight of the stage writes to the residual stream."""
        return any(target.name in self.writers for target in stage.targets)
