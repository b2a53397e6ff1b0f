"""From a matrix and a budget to sections: what `deadzone` and `lowbit` both call."""

from __future__ import annotations

import numpy as np

from subbit.codecs.scalar.costs import costs_of
from subbit.codecs.scalar.quantizer import Costs
from subbit.codecs.scalar.search import best_scene, fit_budget, plain_scene
from subbit.codecs.scalar.steps import StepCodes, in_range
from subbit.codecs.scalar.writing import write_sections
from subbit.curvature import Curvature
from subbit.errors import SubbitError

__all__ = ["budget_bits", "check_rate", "encode_scalar"]

_SMALLEST = 64 * 8  # a matrix of equal values: step, one symbol, its centre
_RETRY = 0.997


def check_rate(rate: float) -> None:
    """Raise :class:`SubbitError` (kind "knobs") unless the budget is within 0 … 12 bits."""
    if isinstance(rate, bool) or not 0 < rate <= 12:
        raise SubbitError(f"{rate} bits a weight is not within 0 … 12", kind="knobs")


def budget_bits(rate: float, rows: int, cols: int) -> int:
    """Whole bytes within the budget, but at least what a constant matrix needs."""
    return max(8 * int(rate * rows * cols / 8), _SMALLEST)


def encode_scalar(
    matrix: np.ndarray, rate: float, importance: np.ndarray | Curvature | None, signed: bool
) -> dict[str, bytes]:
    """Quantize and write; if the written size misses the prediction upwards, aim a little lower and repeat."""
    limit = budget_bits(rate, *matrix.shape)
    matrix, exponent = in_range(matrix)
    costs, codes = costs_of(importance, *matrix.shape)
    if codes.bits > limit // 2:  # steps that would eat the budget are not worth having
        costs, codes = Costs.equal(*matrix.shape), StepCodes.equal(*matrix.shape)
    target = float(limit) - codes.bits
    scene, start = best_scene(plain_scene(matrix, codes.steps(), costs, signed), target)
    while True:
        start = fit_budget(scene, start, target)
        found = write_sections(start, codes, exponent)
        size = 8 * sum(len(section) for section in found.values())
        if size <= limit or target < 8:
            return found
        target -= max(size - limit, target * (1 - _RETRY))
