"""Low-rank corrections of template-signed weights, W + A Bᵀ: what they are called and what an error in them weighs."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Protocol

from subbit.records import Shape, matrix_shape

__all__ = ["CORRECTION", "corrected_weights"]

CORRECTION = ".correction"
"""What the name of a correction adds to its weight's. Factors A (rows, k) and B (cols, k) are one tensor, [Aᵀ Bᵀ]."""


class _Shaped(Protocol):
    @property
    def shape(self) -> Shape: ...


def corrected_weights(name: str, tensors: Mapping[str, _Shaped]) -> int:
    """How many weights a tensor corrects, told from names and shapes; 0 for a tensor that is no correction.

    A relative squared error of e in both factors is one of 2e in A Bᵀ, which has about half of W's energy where it
    cancels a template's spectrum: as bad as a relative error of e in all the weights of W.
    """
    target = tensors.get(name.removesuffix(CORRECTION)) if name.endswith(CORRECTION) else None
    if target is None or len(target.shape) < 2:
        return 0
    shape = tensors[name].shape
    fits = len(shape) == 2 and shape[1] == sum(matrix_shape(target.shape))
    return math.prod(target.shape) if fits else 0
