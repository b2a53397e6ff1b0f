"""Families of codecs that differ only in rate, and what each rate would cost and lose on one matrix.

Scalar codes are run on a sample of rows; trellis and vector codes are estimated from how weights spread.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property, partial
from typing import NamedTuple

import numpy as np

from subbit.codecs import Codec, DeadZone, Delta, LowBit, Signed, Trellis, TrellisMagnitudes, Vector
from subbit.codecs.blocks import rows_per_block
from subbit.codecs.scalar.coding import budget_bits
from subbit.codecs.scalar.costs import costs_of
from subbit.codecs.scalar.density import row_means
from subbit.codecs.scalar.quantizer import Costs
from subbit.codecs.scalar.search import plain_scene, rate_distortion
from subbit.codecs.scalar.steps import StepCodes
from subbit.codecs.trellis.allotting import scale_codes
from subbit.codecs.trellis.classes import UNIT
from subbit.codecs.trellis.estimate import estimate, spread_of
from subbit.codecs.trellis.spending import lost
from subbit.curvature import Curvature
from subbit.signs import SignPlane

__all__ = ["Family", "Matrix", "Rate", "compact_joint", "compact_signed", "delta", "packed_joint", "packed_signed"]

_FIRST, _STEP, _LAST = 0.03, 1.25, 4.0  # rates at which trellises are estimated; at the last scalars lose no more
_MOST = 8.0  # bits a weight of a trellis
_FULL = 0.99  # of the bits asked for: an allotment below spends no more before the next rate
_HEAD = 256  # bits of a trellis beside its scales and walks, at most
_WIDTHS, _LARGEST_DIM = (4, 6, 8), 64
_PACKED_RATES = (0.125, 0.25, 0.375, 0.5, 0.625, 0.75, 0.875, 1.0, 1.25, 1.5, 1.75, 2.0, 2.5, 3.0, 4.0, 5.0, 6.0, 8.0)
_GROUPED = 0.0014  # of the error, by the square of the bits that a group takes, at a bit a weight


class Rate(NamedTuple):
    """Bits without what does not depend on the rate, what errors cost, and whether nothing lies just above."""

    bits: float
    error: float
    exact: bool = False


@dataclass(frozen=True)
class Family:
    """Codecs that differ only in rate; `make` takes bits a weight, the plane's and the container's not among them.

    It travels between processes, so `make` is a function of a module or a partial of one, and holds no weights.
    """

    label: str
    make: Callable[[float], Codec]
    rates: list[Rate]
    why: str = ""
    plane_bits: float = 0.0
    sections: tuple[str, ...] = ("codes",)


@dataclass(frozen=True, eq=False)
class Matrix:
    """Weights (float32, in range), what their errors cost, the finest rate of interest, and a trellis' states."""

    weights: np.ndarray
    importance: np.ndarray | Curvature | None = None
    finest: float = 8.0
    state_bits: int = 12

    @cached_property
    def joint_costs(self) -> tuple[Costs, StepCodes]:
        """With feedback, where it is known how columns move together."""
        return costs_of(self.importance, *self.weights.shape)

    @cached_property
    def costs(self) -> tuple[Costs, StepCodes]:
        """Those of errors that do not meet."""
        diagonal = isinstance(self.importance, Curvature)
        given = self.importance.importance() if isinstance(self.importance, Curvature) else self.importance
        return costs_of(given, *self.weights.shape) if diagonal and self.feeds_back else self.joint_costs

    @property
    def feeds_back(self) -> bool:
        """Whether a scalar code can make up in later columns for what earlier ones lose."""
        return self.joint_costs[0].feedback is not None

    @cached_property
    def energy(self) -> float:
        """What zeros in place of the weights cost where errors do not meet."""
        return _energy(self.weights, self.costs[0])

    @cached_property
    def sampled_energy(self) -> float:
        """The same from the rows that scalars are run on."""
        costs, codes = self.costs
        sample = plain_scene(self.weights, codes.steps(), costs, True).sample()
        return _energy(sample.matrix, sample.costs) * (len(self.weights) / max(len(sample.matrix), 1))

    @cached_property
    def magnitudes(self) -> np.ndarray:
        """|W|."""
        found: np.ndarray = np.abs(self.weights)
        return found

    def rooted(self, source: np.ndarray) -> np.ndarray:
        """Weights times the roots of what their errors cost: plain squared errors of these cost the same."""
        if self.importance is None:
            return source
        rows, columns = (_relative(np.sqrt(part)) for part in (self.costs[0].rows, self.costs[0].columns))
        return (source * rows[:, None].astype(np.float32)) * columns.astype(np.float32)


def compact_joint(matrix: Matrix) -> list[Family]:
    """Signs and magnitudes together at rates that vary: `deadzone`, and `trellis` unless feedback is worth more."""
    why = "feedback between columns" if matrix.feeds_back else ""
    found = [Family(DeadZone.id, DeadZone, _scalar(matrix, matrix.weights), why)]
    if not matrix.feeds_back:
        states, rates = matrix.state_bits, _trellis(matrix, matrix.weights, True)
        found.append(Family(Trellis.id, partial(_trellis_of, states), rates))
    return found


def delta(matrix: Matrix, difference: np.ndarray, parent: str | None) -> Family:
    """The difference from a parent's tensor."""
    return Family(Delta.id, partial(Delta, parent=parent), _scalar(matrix, difference), "difference from the parent")


def compact_signed(matrix: Matrix, plane: SignPlane) -> list[Family]:
    """Magnitudes at rates that vary under a sign plane."""
    scalar, trellis = _scalar(matrix, matrix.magnitudes, False), _trellis(matrix, matrix.magnitudes, False)
    return [
        Family(f"{plane.kind} × lowbit", partial(_lowbit_under, plane), scalar),
        Family(f"{plane.kind} × trellis", partial(_trellis_under, plane, matrix.state_bits), trellis),
    ]


def _trellis_of(states: int, rate: float) -> Trellis:
    return Trellis(min(rate, _MOST), state_bits=states)


def _lowbit_under(plane: SignPlane, rate: float) -> Signed:
    return Signed(plane, LowBit(rate))


def _trellis_under(plane: SignPlane, states: int, rate: float) -> Signed:
    return Signed(plane, TrellisMagnitudes(min(rate, _MOST), state_bits=states))


def packed_joint(matrix: Matrix) -> list[Family]:
    """A trellis of one rate for all weights; up to one bit a weight one of those that decode and multiply fast."""
    rows, cols = matrix.weights.shape
    states = matrix.state_bits
    bits, shares = zip(*estimate(matrix.weights, _PACKED_RATES, variable=False, state_bits=states), strict=True)
    options: list[tuple[Rate, Codec]] = [(Rate(_HEAD, matrix.energy, True), Trellis(1e-5, False, states))]
    for rate, size, share in zip(_PACKED_RATES, bits, shares, strict=True):
        group = _group(rate, cols)
        worse = 1 + _GROUPED * (group * rate) ** 2 * rate if group > 1 else 1.0
        error = min(worse * share, 1.0) * matrix.energy
        options.append((Rate(size, error, True), Trellis(rate, False, states, group=group)))
    return [_stepped(Trellis.id, options, rows * cols)]


def _group(rate: float, cols: int) -> int:
    """The fewest weights, but four, that take whole bits together, where these divide a row."""
    group = next((group for group in (4, 8) if group * rate % 1 == 0 and cols % group == 0), 1)
    return group if rate <= 1 else 1


def packed_signed(matrix: Matrix, plane: SignPlane) -> list[Family]:
    """Codebook entries under a sign plane."""
    rows, cols = matrix.weights.shape
    options: list[tuple[Rate, Codec]] = []
    by_row = scale_codes(matrix.magnitudes)[0], np.zeros(cols, np.int64)
    spread = spread_of(matrix.magnitudes, by_row, False)
    for width in _WIDTHS:
        for dim in range(1, min(_LARGEST_DIM, cols) + 1):
            codec = Vector(dim, 1 << width)
            if codec.in_use(rows, cols) == (dim, 1 << width, width):
                share = spread.around * _vector_loss(width, dim)
                options.append((Rate(codec.bits(rows, cols), share * matrix.energy, True), Signed(plane, codec)))
    if not options:  # a matrix of a few weights
        single = Vector(min(_LARGEST_DIM, cols), 1)
        options = [(Rate(single.bits(rows, cols), spread.around * matrix.energy, True), Signed(plane, single))]
    sections = ("codes", "codebook", "scales")
    return [_stepped(f"{plane.kind} × vector", options, rows * cols, sections)]


def _stepped(
    label: str, options: list[tuple[Rate, Codec]], size: int, sections: tuple[str, ...] = ("codes",)
) -> Family:
    """Codecs of which nothing lies between two."""
    rates = [rate._replace(bits=rate.bits + _slack(size)) for rate, _ in options]
    return Family(label, partial(_step, options, size), rates, "fixed rate", 0.0, sections)


def _step(options: list[tuple[Rate, Codec]], size: int, rate: float) -> Codec:
    """The codec that loses least of those that fit, else the one of fewest bits."""
    fitting = [option for option in options if option[0].bits <= rate * size]
    least = min(options, key=lambda option: option[0].bits)
    return min(fitting or [least], key=lambda option: option[0].error)[1]


def _scalar(matrix: Matrix, source: np.ndarray, signed: bool = True) -> list[Rate]:
    costs, codes = matrix.joint_costs if signed else matrix.costs
    points = rate_distortion(plain_scene(source, codes.steps(), costs, signed), matrix.finest)
    least, sampled = budget_bits(0, *source.shape), matrix.sampled_energy
    found = []
    for bits, error in points:
        if costs.feedback is None and sampled:  # what is left as it is has the energy of all rows, not of a sample
            share = min(error / sampled, 1.0)
            error *= 1 - share + share * matrix.energy / sampled
        found.append(Rate(max(bits + codes.bits, least), error))
    return found


def _energy(weights: np.ndarray, costs: Costs) -> float:
    """Σ cost · weight², a block of rows at a time."""
    rows, cols = weights.shape
    step = rows_per_block(cols)
    total: float = 0.0
    for start in range(0, rows, step):
        squares = np.square(weights[start : start + step], dtype=np.float64)
        total += math.fsum((row_means(squares, costs.columns) * costs.rows[start : start + step]).tolist())
    found: float = total * cols
    return found


def _trellis(matrix: Matrix, source: np.ndarray, signed: bool) -> list[Rate]:
    asked, size = _rates(min(matrix.finest, _LAST)), source.size
    found = []
    for rate, (bits, share) in zip(
        asked, estimate(matrix.rooted(source), asked, signed, True, matrix.state_bits), strict=True
    ):
        short = bits < _FULL * rate * size
        found.append(Rate(bits + (_slack(size) if short else 0), share * matrix.energy, short))
    return found


def _rates(last: float) -> list[float]:
    found = [_FIRST]
    while found[-1] < last:
        found.append(found[-1] * _STEP)
    return [*found[:-1], last]


def _slack(size: int) -> float:
    """Bits that keep an exact rate in reach when it is rounded down."""
    return 64 + size * 1e-5


def _vector_loss(width: int, dim: int) -> float:
    """The share of the energy around the mean that k-means codes lose on half-normal magnitudes, to some percent."""
    rate = width / dim
    few = 1 + (8 - width) * (0.006 + 0.013 * rate)
    return min(lost(int(rate * UNIT)) * (0.965 + 0.06 * rate + 0.02 * rate * rate) * few, 1.0)


def _relative(values: np.ndarray) -> np.ndarray:
    """Divided by the largest, unless that is 0."""
    peak = float(values.max(initial=0.0))
    found: np.ndarray = values / peak if peak else values
    return found
