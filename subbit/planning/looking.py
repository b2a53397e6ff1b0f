"""What planning has to know of one tensor: how it is kept, or what it could cost and lose.

A :class:`Look` and what it finds hold no weights: both travel between processes.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Protocol

import numpy as np

from subbit.codecs import Dense
from subbit.curvature import Curvature
from subbit.errors import SubbitError, out_of_memory
from subbit.planning.corrections import corrected_weights
from subbit.planning.coverage import Coverage
from subbit.planning.curves import Curve, Wanted, measure
from subbit.planning.parents import Find, keep, nearest
from subbit.planning.plan import Rule
from subbit.records import Shape, matrix_shape
from subbit.signs import SignPlane
from subbit.tensors import checked_importance, is_finite

__all__ = ["Look", "Measured", "Tensor"]


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
class Measured:
    """A tensor that the budget covers."""

    name: str
    curve: Curve
    known: bool  # whether its errors are measured in loss
    stands_for: float  # weights that depend on it


@dataclass(frozen=True)
class Look:
    """What is asked of each tensor; `correction` of those that correct others."""

    coverage: Coverage
    wanted: Wanted
    correction: Wanted
    declared: Mapping[str, SignPlane] = field(default_factory=dict)
    allow_nonfinite: bool = False

    def __call__(
        self,
        name: str,
        tensors: Mapping[str, Tensor],
        importance: Mapping[str, np.ndarray | Curvature] | None = None,
        parents: Find | None = None,
    ) -> Rule | Measured:
        """Read a tensor where that is needed and look at it; every :class:`SubbitError` names it."""
        try:
            return self._look(name, tensors, importance, parents)
        except SubbitError as error:
            raise error.at(tensor=name) from None
        except MemoryError:
            raise out_of_memory().at(tensor=name) from None

    def at(self, name: str) -> Look:
        """The same of one tensor alone."""
        return replace(self, declared={key: self.declared[key] for key in (name,) if key in self.declared})

    def _look(
        self,
        name: str,
        tensors: Mapping[str, Tensor],
        importance: Mapping[str, np.ndarray | Curvature] | None,
        parents: Find | None,
    ) -> Rule | Measured:
        tensor = tensors[name]
        kept = self.coverage.kept_as(name, tensor.shape, tensor.dtype)
        weights = math.prod(tensor.shape)
        parent = None if parents is None else parents(name)
        if kept is not None and isinstance(kept, Dense):
            kept = keep(kept, tensor.shape, tensor.dtype, tensor.read, parent)
            return Rule(name, kept, covered=False, weights=weights)
        weight = tensor.read()
        if not is_finite(weight):
            return _nonfinite(name, weights, self.allow_nonfinite)
        if kept is not None:
            kept = nearest(kept, weight, parent)
            return Rule(name, kept, False, weights, kept.bits(tensor.shape), why="embedding or head")
        corrected = corrected_weights(name, tensors)
        cost = _importance(importance, name, tensor.shape)
        wanted = self.correction if corrected else self.wanted
        curve = measure(name, weight, wanted, self.declared.get(name), cost, parent)
        return Measured(name, curve, cost is not None, float(corrected or weights))


def _importance(
    importance: Mapping[str, np.ndarray | Curvature] | None, name: str, shape: Shape
) -> np.ndarray | Curvature | None:
    if importance is None or name not in importance:
        return None
    given = importance[name]
    return checked_importance(given if isinstance(given, Curvature) else np.asarray(given), matrix_shape(shape))


def _nonfinite(name: str, weights: int, allowed: bool) -> Rule:
    if allowed:
        return Rule(name, Dense(), False, weights, why="has NaN or infinite weights")
    hint = "--allow-nonfinite (allow_nonfinite=True) keeps it lossless"
    raise SubbitError("has NaN or infinite weights", kind="nonfinite", tensor=name, hint=hint)
