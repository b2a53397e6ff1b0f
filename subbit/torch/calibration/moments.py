"""Second moments of what weights read, E[x xᵀ], each set of inputs multiplied once however many weights read it."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import NamedTuple

import torch
from torch.nn import functional

from subbit.torch.calibration.watching import Read

__all__ = ["MAX_WIDTH", "Moments", "Part", "same_inputs"]

MAX_WIDTH = 16384
"""Weights with more inputs keep the diagonal alone: a full matrix of them would take over a gigabyte."""


class Part(NamedTuple):
    """A weight by its name, or one expert of it."""

    name: str
    group: int | None = None


@dataclass
class _Sum:
    total: torch.Tensor
    count: int


class Moments:
    """Sums of x xᵀ in float32, as reads come in; `mean` gives E[x xᵀ] of a part.

    Consecutive reads of one tensor (q, k and v; gate and up) are one sum under all their parts. Convolutions read
    unfolded patches, grouped ones a set per group. float32 holds: the diagonal adds positive numbers, and the products
    of a batch are summed inside the matrix product before they join.
    """

    def __init__(self) -> None:
        self._sums: dict[tuple[Part, ...], _Sum] = {}
        self._last: Read | None = None
        self._readers: list[Part] = []

    def read(self, read: Read) -> None:
        """Take note of one multiplication; the sum waits until another tensor is read, or `flush`."""
        if self._last is None or not same_inputs(self._last, read):
            self.flush()
            self._last = read
        self._readers.append(Part(read.target.name, read.group))

    def flush(self) -> None:
        """Add what is pending; call it after each batch."""
        if self._last is None:
            return
        with torch.no_grad():
            inputs = _inputs(self._last)
            key = tuple(dict.fromkeys(self._readers))
            if key not in self._sums:
                groups, _, width = inputs.shape
                shape = (groups, width, width) if width <= MAX_WIDTH else (groups, width)
                self._sums[key] = _Sum(torch.zeros(shape, device=inputs.device), 0)
            _add(self._sums[key], inputs)
        self.drop()

    def drop(self) -> None:
        """Forget what is pending: these inputs have been counted before."""
        self._last, self._readers = None, []

    def inputs(self, part: Part) -> tuple[tuple[Part, ...], ...]:
        """What the part reads: equal for parts with equal moments, empty where nothing arrived."""
        return tuple(key for key, found in self._sums.items() if part in key and found.count)

    def mean(self, keys: Iterable[tuple[Part, ...]]) -> torch.Tensor:
        """E[x xᵀ] of what `inputs` names: (groups, width, width), or (groups, width) diagonals; float32."""
        first, *others = [self._sums[key] for key in keys]
        total, count = first.total.clone(), first.count
        for other in others:
            total += other.total
            count += other.count
        return total.div_(count)

    def forget(self, keys: Iterable[tuple[Part, ...]]) -> None:
        """Free the sums."""
        for key in keys:
            self._sums.pop(key, None)


def same_inputs(a: Read, b: Read) -> bool:
    """Whether two reads have the same inputs: one tensor, or the same view of its unchanged memory."""
    if a.convolution != b.convolution or (a.group is None) != (b.group is None):
        return False
    x, y = a.input, b.input
    return x is y or (
        x.data_ptr() == y.data_ptr() and x.shape == y.shape and x.stride() == y.stride() and x._version == y._version
    )


def _inputs(read: Read) -> torch.Tensor:
    """(groups, vectors, width) in float32."""
    x = read.input.detach()
    if read.convolution is None:
        return (x if read.batched else x.reshape(1, -1, x.shape[-1])).float()
    kernel, stride, before, after, dilation, groups = read.convolution
    x = x.float().reshape(-1, x.shape[1], *((1,) * (4 - x.ndim)), *x.shape[2:])
    x = functional.pad(x, (before[1], after[1], before[0], after[0]))
    patches = functional.unfold(x, kernel, dilation=dilation, stride=stride)  # (batch, channels · kernel, places)
    patches = patches.reshape(len(patches), groups, -1, patches.shape[-1])
    return patches.permute(1, 0, 3, 2).reshape(groups, -1, patches.shape[2])


def _add(found: _Sum, inputs: torch.Tensor) -> None:
    if found.total.ndim == 2:
        found.total += inputs.square().sum(dim=1)
    else:
        found.total.baddbmm_(inputs.mT, inputs)
    found.count += inputs.shape[1]
