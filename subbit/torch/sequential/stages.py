"""What a block multiplies: its weights in the order in which they read, those with one input together."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch

from subbit.torch.calibration.moments import same_inputs
from subbit.torch.calibration.watching import Read
from subbit.torch.targets import Target

__all__ = ["Stage", "stages", "tokens"]


@dataclass(frozen=True)
class Stage:
    """Weights that read the same inputs; each is read once in a pass, whole, as (outputs, inputs)."""

    targets: tuple[Target, ...]

    @property
    def first(self) -> str:
        """The name of the weight that reads first."""
        return self.targets[0].name


def stages(reads: Sequence[Read], count: int) -> list[Stage]:
    """From what was read in one pass of `count` tokens.

    Weights that are read twice, in part, for some of the tokens, transposed or by convolutions are in no stage.
    """
    names = [read.target.name for read in reads]
    groups: list[list[Read]] = []
    for read in reads:
        if names.count(read.target.name) > 1 or not _plain(read) or len(tokens(read.input)) != count:
            continue
        if groups and same_inputs(groups[-1][0], read):
            groups[-1].append(read)
        else:
            groups.append([read])
    return [Stage(tuple(read.target for read in group)) for group in groups]


def _plain(read: Read) -> bool:
    whole = read.group is None and read.convolution is None and read.target.parameter.ndim == 2
    return whole and not read.transposed


def tokens(x: torch.Tensor) -> torch.Tensor:
    """(…, features) as (tokens, features)."""
    return x.detach().reshape(-1, x.shape[-1])
