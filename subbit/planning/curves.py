"""What each tensor could cost and lose: rate–distortion points of the codecs that suit it, from a sample."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from subbit.bits.packing import pack_signs
from subbit.codecs import Codec, DeadZone, LowBit, Signed
from subbit.codecs.scalar.density import row_means
from subbit.codecs.scalar.search import rate_distortion, scenes
from subbit.codecs.scalar.steps import choose_steps
from subbit.errors import UsageError
from subbit.planning.allocate import Point
from subbit.records import matrix_shape
from subbit.signs import Fitted, SignPlane, Stored, agreement, flips, signs

__all__ = ["SIGNS", "Curve", "measure"]

SIGNS = ("auto", "joint", "declared", "fitted", "stored")
"""`auto` compares by counted bits; the others force signs and magnitudes together, or one kind of plane."""

_STEPS = (12.0, 8.0, 6.0, 4.5, 3.6, 2.9, 2.4, 2.0, 1.7, 1.4, 1.15, 0.9, 0.7, 0.5, 0.35, 0.25)  # × rms
_WORTHLESS = 0.6  # a plane that agrees no better than this is not tried


@dataclass(frozen=True)
class Family:
    """Codecs that differ only in rate, and the bits that do not depend on it (plane and flips)."""

    make: Callable[[float], Codec]
    fixed_bits: float
    why: str


@dataclass(frozen=True)
class Curve:
    """All points of one tensor, their families, and whether its signs come from a template."""

    points: list[Point]
    families: list[Family]
    energy: float

    def codec(self, point: Point, weights: int, overhead: float) -> Codec:
        """The codec that spends the bits of `point`, of which the container takes `overhead`."""
        family = self.families[point.family]
        rate = (point.bits - overhead - family.fixed_bits) / weights
        return family.make(max(math.floor(rate * 1e5) / 1e5, 1e-5))


def measure(weight: np.ndarray, mode: str, declared: SignPlane | None, overhead: float) -> Curve:
    """Points (bits, relative squared error) of a tensor; `overhead` bits of the container are added to each."""
    if mode not in SIGNS:
        raise UsageError(f"unknown choice of signs {mode!r}", kind="signs", hint=f"one of {', '.join(SIGNS)}")
    matrix = np.ascontiguousarray(weight.reshape(matrix_shape(weight.shape)), dtype=np.float32)
    energy, rms = _energy(matrix)
    points: list[Point] = []
    families: list[Family] = []

    def add(family: Family, source: np.ndarray, signed: bool) -> None:
        number = len(families)
        families.append(family)
        steps, _ = choose_steps(source, 0, None)
        for bits, error in rate_distortion(scenes(source, steps, signed), _STEPS, rms):
            points.append(Point(bits + family.fixed_bits + overhead, error / energy if energy else 0.0, number))

    if mode in ("auto", "joint"):
        add(Family(lambda rate: DeadZone(rate=rate), 0.0, ""), matrix, True)
    planes = _planes(matrix, mode, declared)
    if planes:
        magnitudes = np.abs(matrix)
        for plane, fixed, why in planes:
            add(Family(_signed(plane), fixed, why), magnitudes, False)
    if not families:
        hint = "use --signs auto"
        raise UsageError(f"no {mode!r} sign plane for this tensor", kind="signs", hint=hint)
    return Curve(points, families, energy)


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
    if mode == "fitted" or (mode == "auto" and declared is None and Fitted.promising(words, rows, cols)):
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


def _energy(matrix: np.ndarray) -> tuple[float, float]:
    """‖W‖² and the root mean square, from evenly spaced rows."""
    rows, cols = matrix.shape
    keep = min(rows, max(1, (1 << 18) // cols))
    sample = matrix[np.arange(keep) * rows // keep].astype(np.float64)
    mean = math.fsum(row_means(sample * sample, np.ones(cols)).tolist()) / keep
    return mean * rows * cols, math.sqrt(mean)
