"""Find the step that spends a budget: the smallest error that fits into so many bytes.

The search runs on a sample of rows first and finishes on the whole matrix, by multiplication, square roots
and comparisons alone, so that every machine finds the same step.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from subbit.codecs.blocks import rows_per_block
from subbit.codecs.scalar.density import Density, densities
from subbit.codecs.scalar.quantizer import LAMBDA, Pass, Steps, Tables, run
from subbit.coders import integers, rans, zigzag

__all__ = [
    "Quantized",
    "Scene",
    "best_scene",
    "fit_budget",
    "overhead_bits",
    "rate_distortion",
    "scenes",
    "settle",
    "total_bits",
]

SAMPLE_WEIGHTS = 1 << 16
_SETTLING = 3
_WIDEST = 16.0  # octaves searched below the largest weight
_SLOPE = -1.6  # typical relative change of size for a relative change of step
_AIM, _CLOSE = 0.9985, 0.996  # of the budget: what the secants aim at, and what is near enough
_PATCH_BITS = 28.0  # what a weight beyond the last level costs, roughly


@dataclass(frozen=True)
class Scene:
    """A matrix as the search sees it: weights, contexts, steps, and the side information's bits."""

    matrix: np.ndarray
    density: Density
    steps: Steps
    signed: bool
    side_bits: float

    def sample(self) -> Scene:
        """Evenly spaced rows, about 2^16 weights."""
        rows, cols = self.matrix.shape
        keep = max(1, SAMPLE_WEIGHTS // max(cols, 1))
        if keep >= rows:
            return self
        chosen = np.arange(keep) * rows // keep
        return Scene(
            self.matrix[chosen], self.density.take(chosen), self.steps.take(chosen), self.signed, self.side_bits
        )


@dataclass(frozen=True)
class Quantized:
    """A finished quantization: the step, the tables that reconstruct, and the symbols."""

    scene: Scene
    step: np.float32
    tables: Tables
    found: Pass
    symbols: np.ndarray


def scenes(matrix: np.ndarray, steps: Steps, signed: bool) -> list[Scene]:
    """The context models worth trying: none, octaves, half octaves; side information counted."""
    rows, cols = matrix.shape
    found = [Scene(matrix, Density.none(rows, cols), steps, signed, 0.0)]
    if rows * cols >= 4096:
        fine = densities(matrix, steps.relative, steps.group)
        found += [Scene(matrix, d, steps, signed, overhead_bits(d)) for d in (fine.coarser(), fine)]
    return found


def overhead_bits(density: Density) -> float:
    """Bits of the row and column codes, counted by coding them."""
    return 8.0 * (len(integers.encode(density.rows)) + len(integers.encode(density.columns)))


def settle(scene: Scene, step: np.float32, tables: Tables, passes: int = _SETTLING) -> Quantized:
    """Quantize a few times at one step, so that costs and centres agree with what they cause."""
    symbols = np.empty(scene.matrix.shape, np.uint8)
    for _ in range(passes):
        found = run(scene.matrix, step, scene.steps, scene.density, tables, scene.signed, symbols)
        tables = found.tables  # centres refitted to the last symbols can only lower the error
    return Quantized(scene, step, tables, found, symbols)


def total_bits(result: Quantized, weights: int) -> float:
    """Predicted bits of the whole tensor, from a quantization of all or of a sample of it."""
    found, cols = result.found, max(result.scene.matrix.shape[1], 1)
    scale = weights / max(int(result.symbols.size), 1)
    tables = 8.0 * (
        len(found.frequencies.to_bytes())
        + len(integers.encode(zigzag.fold(result.tables.offsets.ravel().astype(np.int64))))
        + 16
    )
    size = rows_per_block(cols) * cols
    blocks = -(-weights // size) * (32.0 * rans.lanes_for(min(size, weights)) + 16)
    return float(scale * (found.symbol_bits + _PATCH_BITS * found.beyond) + tables + blocks + result.scene.side_bits)


def best_scene(candidates: list[Scene], budget: float) -> tuple[Scene, Quantized]:
    """The context model that pays best near `budget` bits, and its quantization of a sample as a start.

    The step is found without contexts on a sample; there the models are compared by error plus λ·bits.
    """
    weights = candidates[0].matrix.size
    start = _bisect(candidates[0].sample(), weights, budget)
    tried = [start] + [
        settle(scene.sample(), start.step, Tables.start(scene.density.contexts)) for scene in candidates[1:]
    ]
    best = min(range(len(tried)), key=lambda k: _lagrangian(tried[k], weights))
    return candidates[best], tried[best]


def _lagrangian(result: Quantized, weights: int) -> float:
    """Error in squared steps plus λ times bits, for the whole tensor."""
    scale = weights / max(result.symbols.size, 1)
    return scale * result.found.weighted + float(LAMBDA) * total_bits(result, weights)


def _bisect(sample: Scene, weights: int, budget: float, rounds: int = 11) -> Quantized:
    """Halve the interval of log steps until the sample's predicted size meets the budget from below."""
    top = float(np.abs(sample.matrix).max(initial=0.0)) * 4 or 1.0
    low, high = math.ldexp(top, -int(_WIDEST)), top
    tables = Tables.start(sample.density.contexts)
    best = settle(sample, np.float32(high), tables)
    for _ in range(rounds):
        middle = math.sqrt(low) * math.sqrt(high)
        tried = settle(sample, np.float32(middle), tables, passes=2)
        if total_bits(tried, weights) <= budget:
            best, high = tried, middle
        else:
            low = middle
        tables = tried.tables if tried.found.frequencies.table.shape[1] > 1 else tables
    return best


def fit_budget(scene: Scene, start: Quantized, budget: float, rounds: int = 8) -> Quantized:
    """Walk the whole matrix' step to the budget by secants; keeps the largest size that fits.

    Costs and centres stay as they settled at first, so that size is a smooth function of the step alone.
    """
    weights = scene.matrix.size
    tables = settle(scene, start.step, start.tables).tables
    step, slope = float(start.step), _SLOPE
    best: Quantized | None = None
    previous: tuple[float, float] | None = None
    for _ in range(rounds):
        tried = settle(scene, np.float32(step), tables, passes=1)
        size = total_bits(tried, weights)
        if size <= budget and (best is None or step < float(best.step)):
            best = tried
            if size >= budget * _CLOSE:
                break
        if previous is not None and previous[0] != step:
            slope = min(max((size - previous[1]) / (step - previous[0]) * step / size, -6.0), -0.8)
        previous = (step, size)
        step *= min(max(1.0 + (_AIM * budget / size - 1.0) / slope, 0.7), 1.4)
    while best is None:
        step *= 1.25
        tried = settle(scene, np.float32(step), tables, passes=2)
        if total_bits(tried, weights) <= budget or tried.found.frequencies.table.shape[1] == 1:
            best = tried
    return best


def rate_distortion(candidates: list[Scene], steps: Sequence[float]) -> list[tuple[float, float]]:
    """Points (bits, squared error) of the whole tensor at some steps, estimated on a sample of rows.

    The context model is the one that pays best at the middle step.
    """
    weights = candidates[0].matrix.size
    samples = [scene.sample() for scene in candidates]
    middle = np.float32(steps[len(steps) // 2])
    tried = [settle(sample, middle, Tables.start(sample.density.contexts), passes=2) for sample in samples]
    best = min(tried, key=lambda result: _lagrangian(result, weights))
    points, tables = [], best.tables
    for step in steps:
        result = settle(best.scene, np.float32(step), tables, passes=2)
        tables = result.tables
        points.append((total_bits(result, weights), result.found.error * weights / max(result.symbols.size, 1)))
    return points
