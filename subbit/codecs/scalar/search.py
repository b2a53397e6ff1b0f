"""Find the step that spends a budget: the smallest error that fits into so many bytes.

The search runs on a sample of rows first and finishes on the whole matrix, by multiplication, square roots
and comparisons alone, so that every machine finds the same step.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np

from subbit.codecs.blocks import rows_per_block
from subbit.codecs.scalar.density import Density, densities, row_means
from subbit.codecs.scalar.parts import center_numbers
from subbit.codecs.scalar.quantizer import LAMBDA, Costs, Pass, Tables, run
from subbit.codecs.scalar.steps import Steps
from subbit.coders import runs
from subbit.coders.adaptive import stored_size

__all__ = [
    "Quantized",
    "Scene",
    "best_scene",
    "fit_budget",
    "overhead_bits",
    "plain_scene",
    "rate_distortion",
    "scenes",
    "settle",
    "total_bits",
]

SAMPLE_WEIGHTS = 1 << 16
_FED_BACK_WEIGHTS = 1 << 15  # feedback takes ten times as long
_SETTLING = 3
_WIDEST = 16.0  # octaves searched below the largest weight
_SLOPE = -1.6  # typical relative change of size for a relative change of step
_AIM, _CLOSE, _FED_BACK_CLOSE = 0.9985, 0.996, 0.997  # of the budget: what the secants aim at, and what is near enough
_COARSE = 1.9  # mean magnitudes in a step of about half a bit
_NEAR, _MIDDLE_AIM = 0.97, 0.985  # of the budget, on a sample
_FINER, _FED_BACK_FINER = 0.77, 0.64  # from one point of a curve to the next
_NEXT_TO_NOTHING = 0.004  # bits a weight
_SMALLEST, _LARGEST = 2.0**-120, 2.0**120
_CODER, _LANE_BITS = 1.0012, 24.0  # what the entropy coder adds to symbols, and to each of its lanes
_MODEL_BITS, _BLOCK_BITS = 88.0, 10.0  # step, state and the fields that nearly all models share; size of a block
_PATCH_BITS = 28.0  # what a weight beyond the last level costs, roughly


@dataclass(frozen=True)
class Scene:
    """A matrix as the search sees it: weights, contexts, steps, what errors cost, and the side information's bits."""

    matrix: np.ndarray
    density: Density
    steps: Steps
    costs: Costs
    signed: bool
    side_bits: float

    def sample(self, weights: int = SAMPLE_WEIGHTS) -> Scene:
        """Evenly spaced rows, about so many weights."""
        rows, cols = self.matrix.shape
        keep = max(1, weights // max(cols, 1))
        if keep >= rows:
            return self
        chosen = np.arange(keep) * rows // keep
        density, steps, costs = self.density.take(chosen), self.steps.take(chosen), self.costs.take(chosen)
        return Scene(self.matrix[chosen], density, steps, costs, self.signed, self.side_bits)


@dataclass(frozen=True)
class Quantized:
    """A finished quantization: the step, the tables that reconstruct, the symbols and what they stand for.

    `targets` are the weights themselves, or with feedback what was quantized in their place.
    """

    scene: Scene
    step: np.float32
    tables: Tables
    found: Pass
    symbols: np.ndarray
    targets: np.ndarray


def plain_scene(matrix: np.ndarray, steps: Steps, costs: Costs, signed: bool) -> Scene:
    """A matrix without contexts."""
    return Scene(matrix, Density.none(*matrix.shape), steps, costs, signed, 0.0)


def scenes(plain: Scene, targets: np.ndarray) -> list[Scene]:
    """The context models worth trying for such targets: none, octaves, half octaves; side information counted."""
    found = [plain]
    if plain.matrix.size >= 4096:
        fine = densities(targets, plain.steps.rows, plain.steps.columns)
        found += [replace(plain, density=d, side_bits=overhead_bits(d)) for d in (fine.coarser(), fine)]
    return found


def overhead_bits(density: Density) -> float:
    """Bits of the row and column codes, counted by coding them."""
    return 8.0 * stored_size(density.rows, density.columns)


def settle(scene: Scene, step: np.float32, tables: Tables, passes: int = _SETTLING) -> Quantized:
    """Quantize a few times at one step, so that costs and centres agree with what they cause."""
    symbols = np.empty(scene.matrix.shape, np.uint8)
    targets = scene.matrix if scene.costs.feedback is None else np.empty(scene.matrix.shape, np.float32)
    for _ in range(passes):
        found = run(scene.matrix, step, scene.steps, scene.costs, scene.density, tables, scene.signed, symbols, targets)
        tables = found.tables  # centres refitted to the last symbols can only lower the error
    return Quantized(scene, step, tables, found, symbols, targets)


def total_bits(result: Quantized, weights: int) -> float:
    """Predicted bits of the whole tensor, from a quantization of all or of a sample of it."""
    found, cols = result.found, max(result.scene.matrix.shape[1], 1)
    scale = weights / max(int(result.symbols.size), 1)
    tables = 8.0 * stored_size(*found.levels.numbers(), *center_numbers(result.tables.offsets, found.levels.count))
    size = rows_per_block(cols) * cols
    blocks = -(-weights // size) * (_LANE_BITS * runs.lanes_for(min(size, weights)) + _BLOCK_BITS)
    symbols = _CODER * found.symbol_bits + _PATCH_BITS * found.beyond
    return float(scale * symbols + tables + blocks + result.scene.side_bits + _MODEL_BITS)


def best_scene(plain: Scene, budget: float, contexts: bool = True) -> tuple[Scene, Quantized]:
    """The context model that pays best near `budget` bits, and its quantization of a sample as a start.

    The step is found without contexts on a sample; there the models are compared by error plus λ·bits.
    """
    weights = plain.matrix.size
    start = _start(plain.sample(), weights, budget)
    targets = plain.matrix if plain.costs.feedback is None else settle(plain, start.step, start.tables, 1).targets
    candidates = scenes(plain, targets) if contexts else [plain]
    passes = _SETTLING if plain.costs.feedback is None else 2
    tried = [start] + [
        settle(scene.sample(), start.step, Tables.start(scene.density.contexts), passes) for scene in candidates[1:]
    ]
    best = min(range(len(tried)), key=lambda k: _lagrangian(tried[k], weights))
    return candidates[best], tried[best]


def _lagrangian(result: Quantized, weights: int) -> float:
    """Error in squared steps plus λ times bits, for the whole tensor."""
    scale = weights / max(result.symbols.size, 1)
    return scale * result.found.weighted + float(LAMBDA) * total_bits(result, weights)


def _start(sample: Scene, weights: int, budget: float) -> Quantized:
    return (_bisect if sample.costs.feedback is None else _near)(sample, weights, budget)


def _bisect(sample: Scene, weights: int, budget: float, rounds: int = 11) -> Quantized:
    """Halve the interval of log steps until the sample's predicted size meets the budget from below."""
    top = float((np.abs(sample.matrix) / sample.steps.rows[:, None] / sample.steps.columns).max(initial=0.0)) * 4 or 1.0
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
        tables = tried.tables if tried.found.levels.count > 1 else tables
    return best


def _near(sample: Scene, weights: int, budget: float, rounds: int = 11) -> Quantized:
    """The same in a few rounds, for feedback, with which a round takes ten times as long.

    The next step is where a typical slope would meet the budget, or the middle of what is left where that lies outside.
    """
    units = sample.matrix / sample.steps.rows[:, None] / sample.steps.columns
    high = float(np.abs(units).max(initial=0.0)) * 4 or 1.0
    low = math.ldexp(high, -int(_WIDEST))
    tables = Tables.start(sample.density.contexts)
    best = settle(sample, np.float32(high), tables)
    means = row_means(units, np.ones(units.shape[1]))
    step = min(max(_COARSE * math.fsum(means.tolist()) / max(len(units), 1), low), high)
    for _ in range(rounds):
        tried = settle(sample, np.float32(step), tables, passes=2)
        size = total_bits(tried, weights)
        tables = tried.tables if tried.found.levels.count > 1 else tables
        if size <= budget:
            best, high = tried, step
            if size >= _NEAR * budget:
                break
        else:
            low = step
        step *= min(max(1.0 + (_MIDDLE_AIM * budget / size - 1.0) / _SLOPE, 0.5), 2.0)
        if not low < step < high:
            step = math.sqrt(low) * math.sqrt(high)
    return best


def fit_budget(scene: Scene, start: Quantized, budget: float, rounds: int = 8) -> Quantized:
    """Walk the whole matrix' step to the budget by secants; keeps the largest size that fits.

    Costs and centres stay as they settled at first, so that size is a smooth function of the step alone.
    """
    weights = scene.matrix.size
    tables = settle(scene, start.step, start.tables, passes=1).tables
    step, slope = float(start.step), _SLOPE
    close = _CLOSE if scene.costs.feedback is None else _FED_BACK_CLOSE
    best: Quantized | None = None
    previous: tuple[float, float] | None = None
    for _ in range(rounds):
        tried = settle(scene, np.float32(step), tables, passes=1)
        size = total_bits(tried, weights)
        if size <= budget and (best is None or step < float(best.step)):
            best = tried
            if size >= budget * close:
                break
        if previous is not None and previous[0] != step:
            slope = min(max((size - previous[1]) / (step - previous[0]) * step / size, -6.0), -0.8)
        previous = (step, size)
        step *= min(max(1.0 + (_AIM * budget / size - 1.0) / slope, 0.7), 1.4)
    while best is None:
        step *= 1.25
        tried = settle(scene, np.float32(step), tables, passes=2)
        if total_bits(tried, weights) <= budget or tried.found.levels.count == 1:
            best = tried
    return best


def rate_distortion(plain: Scene, finest: float) -> list[tuple[float, float]]:
    """Points (bits, squared error × what it costs) of the whole tensor, estimated on a sample of rows.

    From no bits at all to `finest` bits a weight or more, at steps that fall by a quarter, with feedback by a third.
    The context model is the one that pays best at half a bit a weight.
    """
    weights = plain.matrix.size
    few = SAMPLE_WEIGHTS if plain.costs.feedback is None else _FED_BACK_WEIGHTS
    start = _start(plain.sample(few), weights, weights / 2)
    targets = plain.matrix if plain.costs.feedback is None else settle(plain, start.step, start.tables, 1).targets
    samples = [scene.sample(few) for scene in scenes(plain, targets)]
    tried = [settle(sample, start.step, Tables.start(sample.density.contexts), passes=2) for sample in samples]
    middle = min(tried, key=lambda result: _lagrangian(result, weights))
    finer_by = _FINER if plain.costs.feedback is None else _FED_BACK_FINER
    coarser = _walk(
        middle, 1 / finer_by, lambda found: found.found.symbol_bits <= _NEXT_TO_NOTHING * found.symbols.size
    )
    finer = _walk(
        middle, finer_by, lambda found: total_bits(found, weights) >= finest * weights or not found.found.error
    )
    largest = np.float32(_LARGEST / max(float(middle.scene.steps.rows.max(initial=1.0)), 1.0))  # times rows, finite
    zeros = settle(middle.scene, largest, Tables.start(middle.scene.density.contexts), passes=1)
    return [
        (total_bits(result, weights), result.found.error * weights / max(result.symbols.size, 1))
        for result in (zeros, *reversed(coarser), middle, *finer)
    ]


def _walk(start: Quantized, factor: float, done: Callable[[Quantized], bool]) -> list[Quantized]:
    """Settle at step after step, until one is done or float32 ends."""
    found: list[Quantized] = []
    result = start
    while not done(result) and _SMALLEST <= float(result.step) * factor <= _LARGEST:
        result = settle(result.scene, result.step * np.float32(factor), result.tables, passes=2)
        found.append(result)
    return found
