"""From a matrix and a budget to sections: what `deadzone` and `lowbit` both call."""

from __future__ import annotations

import numpy as np

from subbit.codecs.scalar.search import best_scene, fit_budget, scenes
from subbit.codecs.scalar.steps import choose_steps, in_range
from subbit.codecs.scalar.writing import write_sections
from subbit.errors import SubbitError

__all__ = ["budget_bits", "check_knobs", "encode_scalar"]

_SMALLEST = 64 * 8  # a matrix of equal values: step, one symbol, its centre
_RETRY = 0.997


def check_knobs(rate: float, group: int) -> None:
    """Raise :class:`SubbitError` (kind "knobs") unless the budget is within 0 … 12 bits and the group whole and ≥ 0."""
    if isinstance(rate, bool) or not 0 < rate <= 12:
        raise SubbitError(f"{rate} bits a weight is not within 0 … 12", kind="knobs")
    if type(group) is not int or group < 0:
        hint = "0 means one step for the whole tensor"
        raise SubbitError(f"a group of {group} columns", kind="knobs", hint=hint)


def budget_bits(rate: float, rows: int, cols: int) -> int:
    """Whole bytes within the budget, but at least what a constant matrix needs."""
    return max(8 * int(rate * rows * cols / 8), _SMALLEST)


def encode_scalar(
    matrix: np.ndarray, rate: float, group: int, importance: np.ndarray | None, signed: bool
) -> dict[str, bytes]:
    """Quantize and write; if the written size misses the prediction upwards, aim a little lower and repeat."""
    limit = budget_bits(rate, *matrix.shape)
    matrix, exponent = in_range(matrix)
    steps, step_codes = choose_steps(matrix, group, importance)
    if 8 * len(step_codes) > limit // 2:  # steps that would eat the budget are not worth having
        steps, step_codes = choose_steps(matrix, 0, None)
    target = float(limit) - 8 * len(step_codes)
    scene, start = best_scene(scenes(matrix, steps, signed), target)
    while True:
        start = fit_budget(scene, start, target)
        found = write_sections(start, step_codes, exponent)
        size = 8 * sum(len(section) for section in found.values())
        if size <= limit or target < 8:
            return found
        target -= max(size - limit, target * (1 - _RETRY))
