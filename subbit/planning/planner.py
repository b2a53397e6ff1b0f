"""Budget → Plan: measure every covered tensor, allocate the bits, name the codec of each."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from glob import escape
from typing import Protocol

import numpy as np

from subbit.codecs import Dense
from subbit.curvature import Curvature
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

_FINEST = 3.0, 12.0
"""Curves are measured to six times the budget, but at least and at most to so many bits a weight."""


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
    curve: Curve
    known: bool  # whether its errors are measured in loss
    stands_for: float  # weights that depend on it


def make_plan(
    tensors: Mapping[str, Tensor],
    bits: float,
    coverage: Coverage,
    signs: str = "auto",
    declared: Mapping[str, SignPlane] | None = None,
    importance: Mapping[str, np.ndarray | Curvature] | None = None,
    allow_nonfinite: bool = False,
    progress: Callable[[int, str], None] | None = None,
) -> Plan:
    """Choose codec and rate of every tensor so that the covered ones take `bits` bits a weight together.

    Each tensor's own rate–distortion points are measured on a sample, and the sum of what errors cost is made least:
    with `importance` squared errors weighted by it, in all tensors alike; else relative squared errors × weights. A
    correction stands for all weights that it corrects (`corrections.corrected_weights`). Container bytes of the
    covered tensors are in the budget. Raises :class:`UsageError` (kind "budget") naming the smallest that can be met.
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
                cost = _importance(importance, name, tensor.shape)
                mode, finest = ("joint", _FINEST[1]) if corrected else (signs, min(max(6 * bits, _FINEST[0]), _FINEST[1]))
                curve = measure(name, weight, mode, (declared or {}).get(name), cost, finest)
                measured.append(_Measured(name, curve, cost is not None, float(corrected or weights)))
        except SubbitError as error:
            raise error.at(tensor=name) from None
    chosen = _spend(measured, bits)
    for item, point in zip(measured, chosen, strict=True):
        rules[item.name] = _rule(item, point)
    exact = (replace(rules[name], pattern=escape(name)) for name in tensors)  # a name may look like a pattern
    return Plan(tuple(exact), bits)


def _importance(
    importance: Mapping[str, np.ndarray | Curvature] | None, name: str, shape: Shape
) -> np.ndarray | Curvature | None:
    if importance is None or name not in importance:
        return None
    given = importance[name]
    return checked_importance(given if isinstance(given, Curvature) else np.asarray(given), matrix_shape(shape))


def _scales(measured: list[_Measured]) -> list[float]:
    """What a relative error of each tensor costs; where that is not known, as much a weight as it does elsewhere."""
    known = [item for item in measured if item.known]
    mean = math.fsum(item.curve.energy for item in known) / (math.fsum(item.stands_for for item in known) or 1.0)
    return [item.curve.energy if item.known else (mean or 1.0) * item.stands_for for item in measured]


def _spend(measured: list[_Measured], bits: float) -> list[Point]:
    """A point a tensor, its error relative, within the budget together."""
    weights = sum(item.curve.weights for item in measured)
    if not weights:
        return []
    scales = _scales(measured)
    curves = [
        refine(hull([Point(p.bits, p.distortion * scale, p.family) for p in item.curve.points]))
        for item, scale in zip(measured, scales, strict=True)
    ]
    smallest = math.fsum(points[0].bits for points in curves) / weights
    if smallest > bits:
        rounded = math.ceil(smallest * 1000) / 1000
        hint = f"the smallest that can is {rounded:.3f}; --keep takes tensors out of the budget"
        raise UsageError(f"a budget of {bits:g} bits a weight cannot be met", kind="budget", hint=hint)
    chosen = allocate(curves, bits * weights)
    return [
        Point(point.bits, point.distortion / scale if scale else 0.0, point.family)
        for point, scale in zip(chosen, scales, strict=True)
    ]


def _rule(item: _Measured, point: Point) -> Rule:
    family, error = item.curve.families[point.family], float(f"{point.distortion:.4g}")
    codec, weights = item.curve.codec(point), item.curve.weights
    return Rule(item.name, codec, True, weights, round(point.bits, 1), error, family.why)


def _nonfinite(name: str, weights: int, allowed: bool) -> Rule:
    if allowed:
        return Rule(name, Dense(), False, weights, why="has NaN or infinite weights")
    hint = "--allow-nonfinite (allow_nonfinite=True) keeps it lossless"
    raise SubbitError("has NaN or infinite weights", kind="nonfinite", tensor=name, hint=hint)
