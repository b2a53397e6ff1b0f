"""What a block multiplies: its weights in the order in which they read, those with one input together."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch

from subbit.torch.calibration.moments import same_inputs
from subbit.torch.calibration.watching import Read, Watch
from subbit.torch.targets import Target

__all__ = ["Stage", "stages", "tokens", "watched"]


@dataclass(frozen=True)
class Stage:
    """Weights that read the same inputs; each is read once in a pass, whole, as (outputs, inputs)."""

    targets: tuple[Target, ...]

    @property
    def first(self) -> str:
        """The name of the weight that reads first."""
        return self.targets[0].name


class Stopped(Exception):  # noqa: N818 - no error: what was asked for has been seen
    """Leaves a forward pass."""


def stages(targets: Sequence[Target], run: Callable[[], object]) -> list[Stage]:
    """Watch one pass; weights that are read twice, in part, transposed or by convolutions are in no stage."""
    reads: list[Read] = []
    with Watch(targets, reads.append):
        run()
    names = [read.target.name for read in reads]
    groups: list[list[Read]] = []
    for read in reads:
        if names.count(read.target.name) > 1 or not _plain(read):
            continue
        if groups and same_inputs(groups[-1][0], read):
            groups[-1].append(read)
        else:
            groups.append([read])
    return [Stage(tuple(read.target for read in group)) for group in groups]


def watched(
    targets: Sequence[Target], run: Callable[[], torch.Tensor], last: str | None = None
) -> tuple[dict[str, Read], torch.Tensor | None]:
    """What was read, by name, and what the pass gave; with `last` it ends once the weight of that name has read."""
    found: dict[str, Read] = {}

    def saw(read: Read) -> None:
        found[read.target.name] = read
        if read.target.name == last:
            raise Stopped

    try:
        with Watch(targets, saw):
            return found, run()
    except Stopped:
        return found, None


def _plain(read: Read) -> bool:
    whole = read.group is None and read.convolution is None and read.target.parameter.ndim == 2
    return whole and not read.transposed


def tokens(x: torch.Tensor) -> torch.Tensor:
    """(…, features) as (tokens, features)."""
    return x.detach().reshape(-1, x.shape[-1]).float()
