"""What a trellis would cost and lose, without walking: for planning."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from subbit.codecs.scalar.density import row_means
from subbit.codecs.scalar.steps import in_range
from subbit.codecs.trellis.allotting import Options, one_rate, scale_codes
from subbit.codecs.trellis.classes import UNIT, half_octaves
from subbit.codecs.trellis.spending import Codes, lost
from subbit.codecs.trellis.writing import DEVIATION, TAILS, budget_bits, head_bytes
from subbit.coders.adaptive import stored_size

__all__ = ["Spread", "estimate", "spread_of"]

_SAMPLE = 1 << 18
_SURPLUS, _START, _HEAVY_START = 0.08, 1.0, 0.98  # of the bound, a bit and at no bits
_REACH, _HEAVY_REACH, _HALF_REACH = 2.8, 8.0, 3.9  # standard deviations from the centre that values reach
_SKEW = 0.13
_COARSE = 1 / 9600  # few states at five and more bits a weight, as the fifth power
_HALF_COARSE = 1 / 128  # and of values without a sign, as the fourth


def estimate(
    matrix: np.ndarray, rates: Sequence[float], signed: bool = True, variable: bool = True, state_bits: int = 12
) -> list[tuple[int, float]]:
    """Bits that `Trellis` takes, and the share of a matrix's energy that it loses, at each rate (bits a weight).

    Bits are those of the allotment, which may stay below a small budget. Errors follow the spread of row and column
    scales, what lies beyond the reach of the values, and how many states there are; they hold to some percent. Where
    errors have weights, pass the matrix times their roots. With `signed=False` the matrix holds magnitudes, and the
    share is that of their whole energy.
    """
    matrix, _ = in_range(np.ascontiguousarray(matrix, dtype=np.float32))
    if not matrix.any():
        return [(budget_bits(0, True, *matrix.shape), 0.0)] * len(rates)
    codes = scale_codes(matrix)
    spread = spread_of(matrix, codes, signed)
    options, found = Options(codes), []
    for rate in rates:
        bits, bound = _varied(options, rate, signed, matrix.shape) if variable else _even(codes, rate)
        found.append((bits, min(_lost(bound, spread, rate, signed, state_bits), 1.0)))
    return found


@dataclass(frozen=True)
class Spread:
    """Of weights in units of their scales: square over squared mean magnitude, and the share of energy out of reach."""

    tails: float
    beyond: float

    @property
    def around(self) -> float:
        """The share of the energy of magnitudes that is not in their mean."""
        return max(1 - 1 / self.tails, 0.0)


def spread_of(matrix: np.ndarray, codes: Codes, signed: bool) -> Spread:
    """How a matrix spreads around its row and column scales, from a sample of rows."""
    some = np.arange(len(matrix))[:: -(-matrix.size // _SAMPLE)]
    rows, columns = np.sqrt(half_octaves(codes[0][some])), np.sqrt(half_octaves(codes[1]))
    kept = (rows[:, None] * columns).astype(np.float32)
    part = np.abs(matrix[some])
    part = np.ldexp(part, -int(np.frexp(part.max(initial=0))[1])) / kept  # squares do not overflow
    mean, square = _mean(part), _mean(part * part)
    if not mean:
        return Spread(1.0, 0.0)
    around = math.sqrt(max(square - mean * mean, 0.0))
    far = _HEAVY_REACH if square > TAILS * mean * mean else _REACH
    reach = far * DEVIATION * mean if signed else mean + _HALF_REACH * around
    excess = np.maximum(part - np.float32(reach), np.float32(0))
    energy, beyond = (_mean(np.square(x * kept)) for x in (part, excess))
    return Spread(square / (mean * mean), beyond / energy)


def _mean(part: np.ndarray) -> float:
    return math.fsum(row_means(part, np.ones(part.shape[1])).tolist()) / len(part)


def _varied(options: Options, rate: float, signed: bool, shape: tuple[int, int]) -> tuple[int, float]:
    """Bits in all, and the share that ideal walks lose, where rates follow scales."""
    head = head_bytes(signed)
    found = options.best(budget_bits(rate, True, *shape) // 8 - head)
    return 8 * (found.size + head), found.predicted


def _even(codes: Codes, rate: float) -> tuple[int, float]:
    """The same where all weights have one rate."""
    rows, cols = codes[0].size, codes[1].size
    classes = one_rate(codes, rate)
    side = stored_size(*classes.scales) if classes.scales is codes else 0
    return int(rate * rows * cols) + 8 * side + budget_bits(0, True, rows, cols), lost(int(rate * UNIT))


def _lost(bound: float, spread: Spread, rate: float, signed: bool, state_bits: int) -> float:
    few = math.sqrt(math.sqrt(math.ldexp(1.0, 12 - state_bits)))
    surplus, squared = _SURPLUS * few * rate, rate * rate
    if not signed:
        worse = _HALF_COARSE * squared * squared + surplus - _SURPLUS * rate
        return spread.around * bound * (1 - _SKEW * (1 - bound) + worse) + spread.beyond
    worse = surplus + _COARSE * squared * squared * rate
    if spread.tails > TAILS:  # values have tails as well
        return bound * (_HEAVY_START + worse) + spread.beyond * (1 - bound)
    return bound * (_START + worse) + spread.beyond
