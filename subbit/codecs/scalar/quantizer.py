"""One pass over a matrix at a given step: levels, their statistics, and what they would cost.

The tables (a cost and a centre for every context and level) and the statistics feed each other; a
few passes settle them. The rate term is fixed at λ = 5/32 of a squared step per bit, where the curves of error
against bits of all tried sources lie lowest.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from subbit.codecs.blocks import parallel
from subbit.codecs.scalar.density import Density
from subbit.codecs.scalar.parts import CENTERED
from subbit.codecs.scalar.steps import Steps
from subbit.coders.levels import Levels
from subbit.curvature import Feedback
from subbit.kernels import kernel

__all__ = ["LEVELS", "Costs", "Pass", "Tables", "fit_levels", "run"]

LEVELS = 128  # magnitudes beyond the last level are written one by one
LAMBDA = np.float32(5 / 32)
_CHUNKS = 64
_CHUNK_WEIGHTS = 1 << 15
_UNSEEN_BITS = np.float32(16.0)
_CENTER_BITS = 5
_GRID = 64  # centres lie on multiples of so much of a step
_FED_BACK = 64  # rows that go through the columns together


@dataclass(frozen=True)
class Costs:
    """What a squared error in a weight costs, rows[i] · columns[j] (float64), and how columns help each other."""

    rows: np.ndarray
    columns: np.ndarray
    feedback: Feedback | None = None

    @classmethod
    def equal(cls, rows: int, cols: int) -> Costs:
        """A squared error costs 1 everywhere."""
        return cls(np.ones(rows), np.ones(cols))

    def take(self, rows: np.ndarray) -> Costs:
        """The same for a selection of rows."""
        return Costs(self.rows[rows], self.columns, self.feedback)


@dataclass(frozen=True)
class Tables:
    """Per context and level: cost in squared steps (with the sign's bit), and centre in steps."""

    costs: np.ndarray  # float32 (contexts, LEVELS)
    offsets: np.ndarray  # int16 (contexts, CENTERED), in 1/256 step

    @property
    def centers(self) -> np.ndarray:
        """Reconstruction of every level, float32 (contexts, LEVELS)."""
        levels = np.broadcast_to(np.arange(LEVELS, dtype=np.int32) * 256, self.costs.shape).copy()
        levels[:, :CENTERED] += self.offsets
        return levels.astype(np.float32) / np.float32(256)

    @classmethod
    def start(cls, contexts: int) -> Tables:
        """Before anything is known: zeros are cheap and each further level costs a little more."""
        bits = np.minimum(2.0 + np.arange(LEVELS, dtype=np.float32), _UNSEEN_BITS)
        bits[0] = 0.5
        costs = np.broadcast_to(LAMBDA * bits.astype(np.float32), (contexts, LEVELS)).copy()
        return cls(costs, np.zeros((contexts, CENTERED), np.int16))


@dataclass(frozen=True)
class Pass:
    """What a pass found: symbols' statistics, errors, and the tables that follow from them."""

    levels: Levels
    symbol_bits: float  # ideal bits of the symbols under the stored model
    error: float  # squared error in weights × what it costs
    weighted: float  # squared error in steps
    beyond: int  # weights past the last level
    tables: Tables


def run(
    matrix: np.ndarray,
    step: np.float32,
    steps: Steps,
    costs: Costs,
    density: Density,
    tables: Tables,
    signed: bool,
    symbols: np.ndarray,
    targets: np.ndarray,
) -> Pass:
    """Quantize `matrix` into `symbols` (uint8, same shape) and gather statistics in fixed chunks of rows.

    With feedback, `targets` (float32, same shape) gets what was quantized in place of the weights.
    """
    rows = matrix.shape[0]
    alphabet = 2 * LEVELS - 1 if signed else LEVELS
    inverse_rows, inverse_columns = np.float32(1) / (step * steps.rows), np.float32(1) / steps.columns
    chunks = max(1, min(_CHUNKS, rows, matrix.size // _CHUNK_WEIGHTS))
    histograms = np.zeros((chunks, density.contexts, alphabet), np.int64)
    sums = np.zeros((chunks, density.contexts, LEVELS))
    results: list[tuple[float, float, int]] = [(0.0, 0.0, 0)] * chunks
    centers, size, kernels, back = tables.centers, math.ceil(rows / chunks), kernel("scalar"), costs.feedback

    def task(index: int) -> None:
        stop = min((index + 1) * size, rows)
        for start in range(index * size, stop, _FED_BACK if back else size):
            part = slice(start, min(start + _FED_BACK, stop) if back else stop)
            common = (
                inverse_rows[part], inverse_columns, costs.rows[part], costs.columns, density.rows[part],
                density.columns, density.base, tables.costs, centers, signed,
            )  # fmt: skip
            outputs = symbols[part], histograms[index], sums[index]
            if back is None:
                found = kernels.quantize(matrix[part], *common, *outputs)
            else:
                found = kernels.quantize_with_feedback(
                    matrix[part], back.order, back.factor, *common, targets[part], *outputs
                )
            error, in_steps, beyond = results[index]
            results[index] = error + found[0], in_steps + found[1], beyond + found[2]

    parallel(task, chunks)
    total = np.zeros_like(sums[0])
    for chunk in sums:
        total += chunk
    histogram = histograms.sum(axis=0)
    counts = _levels(histogram, signed)
    levels = Levels.fit(counts)
    return Pass(
        levels,
        levels.cost(counts) + (int(counts[:, 1:].sum()) if signed else 0),
        math.fsum(r[0] for r in results),
        math.fsum(r[1] for r in results),
        sum(r[2] for r in results),
        _tables(counts, total, levels, signed),
    )


def fit_levels(histogram: np.ndarray, signed: bool) -> Levels:
    """The stored model of counts (contexts, symbols)."""
    return Levels.fit(_levels(histogram, signed))


def _levels(histogram: np.ndarray, signed: bool) -> np.ndarray:
    """Counts of levels: both signs together."""
    if not signed:
        return histogram
    return np.concatenate([histogram[:, :1], histogram[:, 1::2] + histogram[:, 2::2]], axis=1)


def _tables(counts: np.ndarray, sums: np.ndarray, levels: Levels, signed: bool) -> Tables:
    bits = np.full(counts.shape, _UNSEEN_BITS)
    bits[:, : levels.count] = levels.bits
    if signed:
        bits[:, 1:] += np.float32(1)
    costs = LAMBDA * np.where(counts > 0, np.minimum(bits, _UNSEEN_BITS), _UNSEEN_BITS)
    costs[:, 0] = np.minimum(costs[:, 0], costs[:, 1])  # where no zero is left, zeros must not be shut out for ever
    head = counts[:, :CENTERED]
    mean = np.divide(sums[:, :CENTERED], head, out=np.zeros(head.shape), where=head > 0) - np.arange(CENTERED)
    if signed:
        mean[:, 0] = 0
    return Tables(costs.astype(np.float32), _rounded(mean, head))


def _rounded(means: np.ndarray, counts: np.ndarray) -> np.ndarray:
    """Centres on their grid, in 1/256 step; where a new one does not pay, that of the context before, which is free."""
    nearest = np.clip(np.rint(means * _GRID), -0.99 * _GRID, 1.99 * _GRID)
    found, last = np.zeros(means.shape, np.int16), np.zeros(means.shape[1])
    for context, (mean, count, near) in enumerate(zip(means, counts, nearest, strict=True)):
        kept, moved = last / _GRID - mean, near / _GRID - mean
        last = np.where(count * (kept * kept - moved * moved) > LAMBDA * _CENTER_BITS, near, last)
        found[context] = last * (256 // _GRID)
    return found
