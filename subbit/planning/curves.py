"""What each tensor could cost and lose: rate–distortion points of the codecs that suit it, from a sample."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from subbit.bits.packing import pack_signs
from subbit.codecs import Codec, DeadZone, LowBit, Signed
from subbit.codecs.scalar.costs import costs_of
from subbit.codecs.scalar.search import plain_scene, rate_distortion
from subbit.codecs.scalar.steps import in_range
from subbit.curvature import Curvature
from subbit.errors import UsageError
from subbit.planning.allocate import Point
from subbit.planning.overhead import container_bits, padding_bits
from subbit.records import matrix_shape
from subbit.signs import Fitted, SignPlane, Stored, agreement, flips, signs
from subbit_formats.dtypes import dtype_name

__all__ = ["SIGNS", "Curve", "measure"]

SIGNS = ("auto", "joint", "declared", "fitted", "stored")
"""`auto` compares by counted bits; the others force signs and magnitudes together, or one kind of plane."""

_CORNER = 512
_WORTHLESS = 0.6  # a plane that agrees no better than this is not tried


@dataclass(frozen=True)
class Family:
    """Codecs that differ only in rate, the bits of plane and flips, and the sections that they write."""

    make: Callable[[float], Codec]
    plane_bits: float
    sections: tuple[str, ...]
    why: str


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


def measure(
    name: str,
    weight: np.ndarray,
    mode: str,
    declared: SignPlane | None,
    importance: np.ndarray | Curvature | None = None,
    finest: float = 8.0,
) -> Curve:
    """Points (bits, relative squared error weighted by importance) of a tensor, what the container adds included.

    The curve goes on to `finest` bits a weight.
    """
    if mode not in SIGNS:
        raise UsageError(f"unknown choice of signs {mode!r}", kind="signs", hint=f"one of {', '.join(SIGNS)}")
    matrix, exponent = in_range(np.ascontiguousarray(weight.reshape(matrix_shape(weight.shape)), dtype=np.float32))
    points: list[Point] = []
    families: list[Family] = []
    fixed: list[float] = []

    def add(family: Family, source: np.ndarray, signed: bool) -> None:
        number = len(families)
        container = container_bits(name, weight.shape, dtype_name(weight.dtype), family.make(0.12345), family.sections)
        families.append(family)
        fixed.append(family.plane_bits + container)
        feeds = importance if signed or not isinstance(importance, Curvature) else importance.importance()
        costs, codes = costs_of(feeds, *source.shape)
        side = 8.0 * len(codes.to_bytes())
        for bits, error in rate_distortion(plain_scene(source, codes.steps(), costs, signed), finest):
            whole = bits + side + fixed[number]
            points.append(Point(whole + padding_bits(whole), error, number))

    planes = _planes(matrix, mode, declared)
    if mode in ("auto", "joint"):
        add(Family(lambda rate: DeadZone(rate=rate), 0.0, ("codes", "model"), ""), matrix, True)
    if planes:
        magnitudes = np.abs(matrix)
        for plane, plane_bits, why in planes:
            sections = ("codes", "flips", "model", "signs") if plane_bits else ("codes", "model")
            add(Family(_signed(plane), plane_bits, sections, why), magnitudes, False)
    if not families:
        hint = "use --signs auto"
        raise UsageError(f"no {mode!r} sign plane for this tensor", kind="signs", hint=hint)
    energy = max(point.distortion for point in points)
    relative = [Point(p.bits, p.distortion / energy if energy else 0.0, p.family) for p in points]
    return Curve(relative, families, fixed, weight.size, math.ldexp(energy, 2 * exponent))


def _signed(plane: SignPlane) -> Callable[[float], Codec]:
    return lambda rate: Signed(plane, LowBit(rate=rate))


def _planes(matrix: np.ndarray, mode: str, declared: SignPlane | None) -> list[tuple[SignPlane, float, str]]:
    """Planes worth comparing, with the bits of plane and flips, counted by coding them, and the agreement in words."""
    rows, cols = matrix.shape
    words = pack_signs(matrix)
    zeros = pack_signs(matrix == 0)
    candidates: list[SignPlane] = []
    if declared is not None and mode in ("auto", "declared"):
        candidates.append(declared)
    if mode == "fitted" or (mode == "auto" and declared is None and _rank_two(matrix)):
        candidates.append(Fitted())
    if mode == "stored":
        candidates.append(Stored())
    found = []
    for plane in candidates:
        data = plane.encode(words, rows, cols)
        rendered = signs(plane, data, rows, cols)
        share = agreement(rendered, words, rows, cols)
        if mode == "auto" and share < _WORTHLESS:
            continue
        bits = 8.0 * (len(data) + len(flips.encode((rendered ^ words) & ~zeros, rows, cols)))
        found.append((plane, bits, f"{plane.kind} signs agree to {share:.4%}"))
    return found


def _rank_two(matrix: np.ndarray) -> bool:
    """Whether two angles explain a corner of the signs; a template restricted to some rows and columns is one too."""
    rows, cols = matrix.shape
    part = np.ascontiguousarray(matrix[:: -(-rows // _CORNER), :: -(-cols // _CORNER)])
    words = pack_signs(part)
    if not Fitted.promising(words, *part.shape):
        return False
    plane = Fitted()
    return agreement(signs(plane, plane.encode(words, *part.shape), *part.shape), words, *part.shape) >= _WORTHLESS
