"""What each tensor could cost and lose: rate–distortion points of the codecs that suit it."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import partial

import numpy as np

from subbit.codecs import Codec
from subbit.codecs.scalar.steps import in_range
from subbit.curvature import Curvature
from subbit.errors import UsageError
from subbit.planning import families
from subbit.planning.allocate import Point
from subbit.planning.families import Family, Matrix, Rate
from subbit.planning.overhead import container_bits, padding_bits
from subbit.planning.parents import Relation, related, untouched
from subbit.planning.planes import planes
from subbit.records import matrix_shape
from subbit.signs import SignPlane
from subbit_formats.dtypes import dtype_name

__all__ = ["PROFILES", "SIGNS", "Curve", "Wanted", "check_choices", "measure"]

SIGNS = ("auto", "joint", "declared", "fitted", "stored", "base")
"""`auto` compares by counted bits; the others force signs and magnitudes together, or one kind of plane."""

PROFILES = ("size", "speed")
"""`size` takes codes of varying rate, which are decoded once; `speed` those of one rate, which multiply packed."""


def check_choices(signs: str, profile: str) -> None:
    """Raise :class:`UsageError` for a choice of signs, or a profile, that there is not."""
    if signs not in SIGNS:
        raise UsageError(f"unknown choice of signs {signs!r}", kind="signs", hint=f"one of {', '.join(SIGNS)}")
    if profile not in PROFILES:
        raise UsageError(f"unknown profile {profile!r}", kind="profile", hint=f"one of {', '.join(PROFILES)}")


@dataclass(frozen=True)
class Wanted:
    """What is asked of all tensors: a choice of signs and a profile, the finest rate, and a trellis' state bits."""

    signs: str = "auto"
    profile: str = "size"
    finest: float = 8.0
    state_bits: int = 12


@dataclass(frozen=True)
class Curve:
    """All points of one tensor, their families, and whether its signs come from a template."""

    points: list[Point]
    families: list[Family]
    fixed: list[float]  # by family: bits that do not depend on the rate, the container's included
    weights: int
    energy: float  # what the tensor costs as zeros: errors are relative to it

    def codec(self, point: Point) -> Codec:
        """The codec that spends the bits of `point`, the container's included."""
        rate = (point.bits - self.fixed[point.family] - padding_bits(point.bits)) / self.weights
        return self.families[point.family].make(min(max(math.floor(rate * 1e5) / 1e5, 1e-5), 12.0))

    def why(self, point: Point) -> str:
        """Why the family of `point`: its own reason, and what the best of the others would lose for these bits."""
        others = [
            (error, family.label)
            for number, family in enumerate(self.families)
            if number != point.family and (error := self._lost(number, point.bits)) is not None
        ]
        own = self.families[point.family].why
        beside = f"{min(others)[1]} would lose {min(others)[0]:.3g}" if others else ""
        return "; ".join(part for part in (own, beside) if part)

    def _lost(self, family: int, bits: float) -> float | None:
        """The relative error of another family at so many bits; None where it takes more."""
        points = sorted((p for p in self.points if p.family == family), key=lambda point: point.bits)
        below = [point for point in points if point.bits <= bits]
        if not below:
            return None
        lower, upper = below[-1], points[len(below)] if len(below) < len(points) else below[-1]
        if lower.exact or upper is lower or lower.distortion <= 0:
            return lower.distortion
        share = (bits - lower.bits) / (upper.bits - lower.bits)
        return math.exp(math.log(lower.distortion) * (1 - share) + math.log(max(upper.distortion, 1e-30)) * share)


def measure(
    name: str,
    weight: np.ndarray,
    wanted: Wanted,
    declared: SignPlane | None = None,
    importance: np.ndarray | Curvature | None = None,
    parent: np.ndarray | None = None,
) -> Curve:
    """Points (bits, relative squared error weighted by importance) of a tensor, what the container adds included.

    With the parent's tensor its signs and the difference from it are compared, too; a tensor that is its parent's has
    one point, without error.
    """
    if (same := untouched(weight, parent)) is not None:
        family = Family(same.id, partial(_always, same), [Rate(0.0, 0.0)], "equal to the parent's", 0.0, ())
        return _curve(name, weight, [family], 0.0)
    flat = np.ascontiguousarray(weight.reshape(matrix_shape(weight.shape)), dtype=np.float32)
    weights, exponent = in_range(flat)
    matrix = Matrix(weights, importance, wanted.finest, wanted.state_bits)
    relation = related(weight, parent)
    found = list(_families(matrix, wanted, declared, relation, exponent))
    if not found:
        raise UsageError(f"no {wanted.signs!r} sign plane for this tensor", kind="signs", hint="use --signs auto")
    energy = max(rate.error for family in found for rate in family.rates)
    energy = energy if matrix.feeds_back else max(energy, matrix.energy)
    curve = _curve(name, weight, found, energy)
    return replace(curve, energy=math.ldexp(energy, 2 * exponent))


def _always(codec: Codec, rate: float) -> Codec:
    return codec


def _families(
    matrix: Matrix, wanted: Wanted, declared: SignPlane | None, relation: Relation | None, exponent: int
) -> Iterator[Family]:
    compact = wanted.profile == "size"
    if wanted.signs in ("auto", "joint"):
        yield from (families.compact_joint if compact else families.packed_joint)(matrix)
        if relation is not None and compact:
            yield families.delta(matrix, np.ldexp(relation.difference, -exponent), relation.signs.parent)
    for plane in planes(matrix.weights, wanted.signs, declared, relation.signs if relation else None):
        for family in (families.compact_signed if compact else families.packed_signed)(matrix, plane.signs):
            sections = (*family.sections, "flips", "signs") if plane.bits else family.sections
            why = "; ".join(part for part in (plane.why, family.why) if part)
            yield replace(family, why=why, plane_bits=plane.bits, sections=sections)


def _curve(name: str, weight: np.ndarray, found: list[Family], energy: float) -> Curve:
    """All points with the bits of planes and of the container, errors relative to `energy`."""
    fixed, points = [], []
    for number, family in enumerate(found):
        codec = family.make(0.12345)
        container = container_bits(name, weight.shape, dtype_name(weight.dtype), codec, family.sections)
        fixed.append(family.plane_bits + container)
        for bits, error, exact in family.rates:
            whole = bits + fixed[number]
            points.append(Point(whole + padding_bits(whole), error / energy if energy else 0.0, number, exact))
    return Curve(points, found, fixed, weight.size, energy)
