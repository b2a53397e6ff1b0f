"""Budget → Plan: measure every covered tensor, allocate the bits, name the codec of each."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from functools import partial
from glob import escape

import numpy as np

from subbit.codecs import Dense
from subbit.codecs.blocks import parallel
from subbit.curvature import Curvature
from subbit.errors import UsageError
from subbit.planning.allocate import Point, allocate, hull, refine
from subbit.planning.budget import Budget, check_bits
from subbit.planning.coverage import Coverage, check_patterns
from subbit.planning.curves import Wanted, check_choices
from subbit.planning.looking import Look, Measured, Tensor
from subbit.planning.parents import Find
from subbit.planning.plan import Plan, Rule
from subbit.signs import SignPlane

__all__ = ["Elsewhere", "make_plan"]

_FINEST = 3.0, 12.0
"""Curves are measured to six times the budget, but at least and at most to so many bits a weight."""
_MANY, _STATES = 1 << 29, (12, 10)
_SMALL = 1 << 25  # weights of a tensor that can be planned beside another


Elsewhere = Callable[[Look], Sequence[Rule | Measured]]
"""Looks at all tensors in other processes, and says what it found in the order of their names."""


def make_plan(
    tensors: Mapping[str, Tensor],
    bits: float,
    coverage: Coverage,
    signs: str = "auto",
    declared: Mapping[str, SignPlane] | None = None,
    importance: Mapping[str, np.ndarray | Curvature] | None = None,
    allow_nonfinite: bool = False,
    progress: Callable[[int, str], None] | None = None,
    parents: Find | None = None,
    fixed: Callable[[Mapping[str, Rule]], float] | None = None,
    profile: str = "size",
    elsewhere: Elsewhere | None = None,
) -> Plan:
    """Choose codec and rate of every tensor so that the covered ones take `bits` bits a weight together.

    With `fixed` all weights and bytes of the file count: it is asked for the bits of what the budget does not cover.

    Each tensor's own rate–distortion points are measured on a sample, and the sum of what errors cost is made least:
    with `importance` squared errors weighted by it, in all tensors alike; else relative squared errors × weights. A
    correction stands for all weights that it corrects (`corrections.corrected_weights`). Container bytes of the
    covered tensors are in the budget. `elsewhere` looks at the tensors in place of this process. Raises
    :class:`UsageError` (kind "budget") naming the smallest that can be met.
    """
    check_bits(bits)
    check_choices(signs, profile)
    if signs == "base" and parents is None:
        hint = "pass the parent checkpoint: --base (base=)"
        raise UsageError("no parent to take signs from", kind="signs", hint=hint)
    check_patterns(tensors, coverage.keep + coverage.cover)
    wanted = Wanted(signs, profile, min(max(6 * bits, _FINEST[0]), _FINEST[1]), _state_bits(tensors, coverage))
    correction = Wanted("joint", "size", _FINEST[1], wanted.state_bits)

    look = Look(coverage, wanted, correction, declared or {}, allow_nonfinite)
    if elsewhere is None:
        see = partial(look, tensors=tensors, importance=importance, parents=parents)
        found = _for_each(tensors, see, progress, one_by_one=parents is not None)
    else:
        found = list(elsewhere(look))
    rules = {name: item for name, item in zip(tensors, found, strict=True) if isinstance(item, Rule)}
    measured = [item for item in found if isinstance(item, Measured)]
    if fixed is None:
        budget = Budget(bits, sum(item.curve.weights for item in measured))
    else:
        budget = Budget(bits, sum(math.prod(tensor.shape) for tensor in tensors.values()), fixed(rules))
    chosen = _spend(measured, budget)
    for item, point in zip(measured, chosen, strict=True):
        rules[item.name] = _rule(item, point)
    exact = (replace(rules[name], pattern=escape(name)) for name in tensors)  # a name may look like a pattern
    return Plan(tuple(exact), bits)


def _for_each(
    tensors: Mapping[str, Tensor],
    look: Callable[[str], Rule | Measured],
    progress: Callable[[int, str], None] | None,
    one_by_one: bool,
) -> list[Rule | Measured]:
    """What `look` finds for every tensor: several at a time where they are small, so that memory stays bounded."""
    names = list(tensors)
    found: list[Rule | Measured] = [Rule("", Dense())] * len(names)

    def task(index: int) -> None:
        if progress is not None:
            progress(index, names[index])
        found[index] = look(names[index])

    if one_by_one or any(math.prod(tensor.shape) > _SMALL for tensor in tensors.values()):
        for index in range(len(names)):
            task(index)
    else:
        parallel(task, len(names))
    return found


def _state_bits(tensors: Mapping[str, Tensor], coverage: Coverage) -> int:
    """The state bits of trellises: encoding takes time ~ 2 to their power, so fewer where there are many weights."""
    covered = (
        math.prod(tensor.shape)
        for name, tensor in tensors.items()
        if coverage.kept_as(name, tensor.shape, tensor.dtype) is None
    )
    return _STATES[sum(covered) > _MANY]


def _scales(measured: list[Measured]) -> list[float]:
    """What a relative error of each tensor costs; where that is not known, as much a weight as it does elsewhere."""
    known = [item for item in measured if item.known]
    mean = math.fsum(item.curve.energy for item in known) / (math.fsum(item.stands_for for item in known) or 1.0)
    return [item.curve.energy if item.known else (mean or 1.0) * item.stands_for for item in measured]


def _spend(measured: list[Measured], budget: Budget) -> list[Point]:
    """A point a tensor, its error relative, within the budget together."""
    scales = _scales(measured)
    curves = [
        refine(hull([replace(p, distortion=p.distortion * scale) for p in item.curve.points]))
        for item, scale in zip(measured, scales, strict=True)
    ]
    least = math.fsum(points[0].bits for points in curves)
    if least > budget.left:
        raise budget.refused(least)
    chosen = allocate(curves, budget.left)
    return [
        replace(point, distortion=point.distortion / scale if scale else 0.0)
        for point, scale in zip(chosen, scales, strict=True)
    ]


def _rule(item: Measured, point: Point) -> Rule:
    codec, weights, error = item.curve.codec(point), item.curve.weights, float(f"{point.distortion:.4g}")
    return Rule(item.name, codec, True, weights, round(point.bits, 1), error, item.curve.why(point))
