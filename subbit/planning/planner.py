"""Budget → Plan: measure every covered tensor, allocate the bits, name the codec of each."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from glob import escape
from typing import Protocol

import numpy as np

from subbit.codecs import Dense
from subbit.errors import SubbitError, UsageError
from subbit.planning.allocate import Point, allocate, hull, refine
from subbit.planning.corrections import corrected_weights
from subbit.planning.coverage import Coverage, check_patterns
from subbit.planning.curves import Curve, measure
from subbit.planning.plan import Plan, Rule
from subbit.records import Shape, matrix_shape
from subbit.signs import SignPlane
from subbit.tensors import checked_importance, is_finite

__all__ = ["Tensor", "make_plan"]


class Tensor(Protocol):
    """What planning needs of a tensor: its description, and its weights when asked for."""

    @property
    def shape(self) -> Shape:
        """Its dimensions."""

    @property
    def dtype(self) -> str:
        """Canonical name of its element type."""

    def read(self) -> np.ndarray:
        """Its weights, from disk."""


@dataclass(frozen=True)
class _Measured:
    name: str
    weights: int
    curve: Curve
    points: list[Point]  # distortion × weights, refined hull
    scale: float  # what an error in this tensor weighs


def make_plan(
    tensors: Mapping[str, Tensor],
    bits: float,
    coverage: Coverage,
    signs: str = "auto",
    declared: Mapping[str, SignPlane] | None = None,
    importance: Mapping[str, np.ndarray] | None = None,
    allow_nonfinite: bool = False,
    progress: Callable[[int, str], None] | None = None,
) -> Plan:
    """Choose codec and rate of every tensor so that the covered ones take `bits` bits a weight together.

    Each tensor's own rate–distortion points are measured on a sample; the sum over tensors of relative squared
    error × weights (× mean `importance`, where given) is made least; a correction stands for all weights that it
    corrects (`corrections.corrected_weights`). Container bytes of the covered tensors are in the budget. Raises
    :class:`UsageError` (kind "budget") naming the smallest budget that can be met.
    """
    if not (bits > 0 and math.isfinite(bits)):
        raise UsageError(f"a budget of {bits} bits a weight", kind="budget", hint="any number above 0, such as 0.8")
    check_patterns(tensors, coverage.keep + coverage.cover)
    rules: dict[str, Rule] = {}
    measured: list[_Measured] = []
    for index, (name, tensor) in enumerate(tensors.items()):
        if progress is not None:
            progress(index, name)
        kept = coverage.kept_as(name, tensor.shape, tensor.dtype)
        weights = math.prod(tensor.shape)
        if kept is not None and isinstance(kept, Dense):
            rules[name] = Rule(name, kept, covered=False, weights=weights)
            continue
        try:
            weight = tensor.read()
            if not is_finite(weight):
                rules[name] = _nonfinite(name, weights, allow_nonfinite)
            elif kept is not None:
                rules[name] = Rule(name, kept, False, weights, kept.bits(tensor.shape), why="embedding or head")
            else:
                corrected = corrected_weights(name, tensors)
                scale = _scale(importance, name, tensor.shape) * (corrected / weights if corrected else 1.0)
                mode = "joint" if corrected else signs
                measured.append(_measure(name, weight, mode, (declared or {}).get(name), scale))
        except SubbitError as error:
            raise error.at(tensor=name) from None
    chosen = _spend(measured, bits)
    for item, point in zip(measured, chosen, strict=True):
        rules[item.name] = _rule(item, point)
    exact = (replace(rules[name], pattern=escape(name)) for name in tensors)  # a name may look like a pattern
    return Plan(tuple(exact), bits)


def _measure(name: str, weight: np.ndarray, signs: str, declared: SignPlane | None, scale: float) -> _Measured:
    curve = measure(name, weight, signs, declared)
    points = [Point(p.bits, p.distortion * weight.size * scale, p.family) for p in curve.points]
    return _Measured(name, weight.size, curve, refine(hull(points)), scale)


def _scale(importance: Mapping[str, np.ndarray] | None, name: str, shape: Shape) -> float:
    if importance is None or name not in importance:
        return 1.0
    given = np.asarray(importance[name], np.float64)
    checked_importance(given, matrix_shape(shape))
    values = given.ravel().tolist()
    return math.fsum(values) / max(len(values), 1)


def _spend(measured: list[_Measured], bits: float) -> list[Point]:
    weights = sum(item.weights for item in measured)
    if not weights:
        return []
    smallest = math.fsum(item.points[0].bits for item in measured) / weights
    if smallest > bits:
        rounded = math.ceil(smallest * 1000) / 1000
        hint = f"the smallest that can is {rounded:.3f}; --keep takes tensors out of the budget"
        raise UsageError(f"a budget of {bits:g} bits a weight cannot be met", kind="budget", hint=hint)
    return allocate([item.points for item in measured], bits * weights)


def _rule(item: _Measured, point: Point) -> Rule:
    family = item.curve.families[point.family]
    error = point.distortion / (item.weights * item.scale) if item.scale else 0.0
    codec = item.curve.codec(point)
    return Rule(item.name, codec, True, item.weights, round(point.bits, 1), float(f"{error:.4g}"), family.why)


def _nonfinite(name: str, weights: int, allowed: bool) -> Rule:
    if allowed:
        return Rule(name, Dense(), False, weights, why="has NaN or infinite weights")
    hint = "--allow-nonfinite (allow_nonfinite=True) keeps it lossless"
    raise SubbitError("has NaN or infinite weights", kind="nonfinite", tensor=name, hint=hint)
