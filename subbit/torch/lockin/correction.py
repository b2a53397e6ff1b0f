"""A trainable low-rank term beside the template-signed weight: W = T ⊙ |M| + A Bᵀ."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import nn
from torch.nn.utils import parametrize

from subbit.errors import SubbitError, UsageError
from subbit.planning.corrections import CORRECTION
from subbit.records import matrix_shape
from subbit.torch.targets import Target

__all__ = ["Correction", "check_correction", "correct", "fold", "joined"]

_OVERSAMPLING = 8
_POWER_STEPS = 4


class Correction(nn.Module):
    """Adds A Bᵀ to a weight, seen as the matrix of `records.matrix_shape`; A (rows, k), B (cols, k).

    It starts as minus the k strongest singular directions of the weight (randomized SVD, Halko, Martinsson & Tropp
    2011), half of each singular value in either factor: a template of low rank begins training with a flat spectrum.
    Costs k · (rows + cols) numbers, of 4 to 6 bits each in a file of half a bit to one bit a weight.
    """

    def __init__(self, weight: torch.Tensor, rank: int) -> None:
        super().__init__()
        matrix = weight.detach().float().reshape(matrix_shape(tuple(weight.shape)))
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(0)
            q = min(rank + _OVERSAMPLING, *matrix.shape)
            left, values, right = torch.svd_lowrank(matrix.cpu(), q, _POWER_STEPS)
        root = values[:rank].sqrt()
        self.a = nn.Parameter((left[:, :rank] * -root).to(weight))
        self.b = nn.Parameter((right[:, :rank] * root).to(weight))

    def forward(self, weight: torch.Tensor) -> torch.Tensor:
        """The effective weight."""
        return weight + (self.a @ self.b.T).reshape(weight.shape)


def check_correction(targets: list[Target], rank: int) -> None:
    """Raise :class:`UsageError` where a correction cannot be had: not a rank ("correction"), tied weights ("tied")."""
    for target in targets:
        rows, cols = matrix_shape(tuple(target.parameter.shape))
        if type(rank) is not int or not 0 <= rank < min(rows, cols):
            text = f"correction_rank={rank!r} is no rank below that of a {rows} x {cols} matrix"
            raise UsageError(text, kind="correction", tensor=target.name)
        if rank and len(target.names) > 1:
            text = f"is tied to {target.names[1]!r}, and a correction would untie them"
            raise UsageError(text, kind="tied", tensor=target.name, hint="leave it out of targets")


def correct(module: nn.Module, leaf: str, rank: int) -> nn.Module:
    """Put a correction on a weight and return the module whose `original` is the part that keeps the template."""
    parametrize.register_parametrization(module, leaf, Correction(getattr(module, leaf), rank))
    parametrized = module.parametrizations[leaf]  # type: ignore[index]
    assert isinstance(parametrized, nn.Module)
    return parametrized


def joined(a: torch.Tensor, b: torch.Tensor) -> torch.Tensor:
    """The factors as one tensor (k, rows + cols): long rows of numbers of a size, one index entry."""
    return torch.cat([a, b]).T.contiguous()


def fold(tensors: Mapping[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    """The same tensors with every correction added to its weight: a state for the model without `lockin`.

    Takes what :meth:`LockIn.save` wrote, before or after compressing. The weights that had a correction have ordinary
    signs then. Raises :class:`SubbitError` (kind "correction") for a correction without its weight or of another shape.
    """
    folded = {name: tensor for name, tensor in tensors.items() if not name.endswith(CORRECTION)}
    for correction in sorted(tensors.keys() - folded.keys()):
        name = correction.removesuffix(CORRECTION)
        if name not in folded:
            raise SubbitError(f"corrects {name!r}, which is missing", kind="correction", tensor=correction)
        weight, factors = folded[name], tensors[correction].float()
        rows, cols = matrix_shape(tuple(weight.shape))
        if factors.ndim != 2 or factors.shape[1] != rows + cols:
            text = f"of shape {tuple(factors.shape)} does not fit {rows} x {cols} weights"
            raise SubbitError(text, kind="correction", tensor=correction)
        product = factors[:, :rows].T @ factors[:, rows:]
        folded[name] = (weight.float() + product.reshape(weight.shape)).to(weight.dtype)
    return folded
