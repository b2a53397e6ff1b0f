"""From a matrix and a budget to a section: classes, the best walks, and the scale that fits them."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np

from subbit.codecs.blocks import parallel
from subbit.codecs.scalar.density import row_means
from subbit.codecs.scalar.steps import in_range
from subbit.codecs.trellis.allotting import allot, one_rate, scale_codes, side_bits
from subbit.codecs.trellis.classes import Classes, half_octaves
from subbit.codecs.trellis.fitting import fitted
from subbit.codecs.trellis.model import Model, tile_rows
from subbit.codecs.trellis.spending import lost
from subbit.codecs.trellis.values import HALF, HEAVY, NORMAL, Shape, values
from subbit.kernels import kernel

__all__ = ["DEVIATION", "TAILS", "budget_bits", "encode_trellis", "head_bytes"]

_SMALLEST = 32 * 8
_SURPLUS = 1.05  # what a walk loses, over Shannon's bound
TAILS = 1.7  # mean square over squared mean magnitude: 1.57 for a Gaussian, 2 for Laplace's distribution
DEVIATION = math.sqrt(math.pi / 2)  # of a Gaussian, in mean magnitudes
_SPREAD, _CENTER = 1.035, 1.01  # of values, in standard deviations, and of centres, in mean magnitudes
_SAMPLE = 1 << 20
_WINDOW = 1 << 24  # states, after all bits that are not settled


def budget_bits(rate: float, variable: bool, rows: int, cols: int, group: int = 1) -> int:
    """Whole bytes within the budget, but at least what a matrix of zeros needs."""
    if variable:
        return max(8 * int(rate * rows * cols / 8), _SMALLEST)
    return int(rate * rows * -(-cols // group) * group) + side_bits(rate, rows, cols) + _SMALLEST


def head_bytes(signed: bool) -> int:
    """Bytes of a model beside its codes, and some to spare."""
    return 13 if signed else 17


def encode_trellis(
    matrix: np.ndarray, rate: float, state_bits: int, variable: bool, importance: np.ndarray | None, signed: bool,
    group: int = 1,
) -> bytes:  # fmt: skip
    """The section of a float32 matrix, in at most `budget_bits`."""
    none = np.zeros(matrix.shape[0], np.int64), np.zeros(matrix.shape[1], np.int64)
    if not matrix.any():
        return _model(Classes(none, None, 0), np.float32(0), np.float32(0), NORMAL if signed else HALF).to_bytes()
    matrix, exponent = in_range(matrix)
    roots = _roots(importance, matrix.shape)
    worth = None if roots is None else scale_codes(roots)
    codes = scale_codes(matrix) if matrix.any() else none
    if variable:
        classes = allot(codes, worth, budget_bits(rate, True, *matrix.shape) // 8 - head_bytes(signed))
    else:
        classes = one_rate(codes, rate, group)
    model = _first_model(matrix, classes, signed)
    packed = _best_walks(model, matrix, roots, state_bits)
    model = fitted(model, packed, state_bits, matrix, roots)
    step, bias = (np.ldexp(part, exponent) for part in (model.step, model.bias))
    return replace(model, step=step, bias=bias).to_bytes() + packed.tobytes()


def _roots(importance: np.ndarray | None, shape: tuple[int, int]) -> np.ndarray | None:
    """Roots of importance relative to their mean, float32; None where all weights count the same."""
    if importance is None:
        return None
    roots = np.sqrt(np.broadcast_to(importance, shape).astype(np.float64))
    mean = math.fsum(row_means(roots, np.ones(shape[1])).tolist()) / shape[0]
    return (roots / mean).astype(np.float32) if 0 < mean < math.inf else None


def _first_model(matrix: np.ndarray, classes: Classes, signed: bool) -> Model:
    """Scales from the weights' mean magnitude; the shape with heavy tails where these are."""
    some = np.arange(len(matrix))[:: -(-matrix.size // _SAMPLE)]
    sample, row_codes = matrix[some], classes.scales[0][some]
    mean, square = (
        math.fsum((row_means(part, power(-classes.scales[1])) * power(-row_codes)).tolist()) / some.size
        for part, power in ((sample, lambda k: np.sqrt(half_octaves(k))), (sample * sample, half_octaves))
    )
    if signed:
        shape = HEAVY if square > TAILS * mean * mean else NORMAL
        return _model(classes, np.float32(_SPREAD * DEVIATION * mean), np.float32(0), shape)
    around = math.sqrt(max(square - mean * mean, 0.0))
    return _model(classes, np.float32(_SPREAD * around), np.float32(_CENTER * mean), HALF)


def _model(classes: Classes, step: np.float32, bias: np.float32, shape: Shape) -> Model:
    return Model(classes, step, np.float32(_SURPLUS * lost(classes.offset)), bias, shape)


def _best_walks(model: Model, matrix: np.ndarray, roots: np.ndarray | None, state_bits: int) -> np.ndarray:
    """The bits of all tiles."""
    grid = model.grid()
    starts = model.starts(grid)
    table = values(state_bits, model.shape)
    tiles: list[np.ndarray] = [np.zeros((size + 7) // 8, np.uint8) for size in np.diff(starts).tolist()]
    inverse = np.float32(1) / model.step if model.step else np.float32(0)
    height = tile_rows(matrix.shape[1])

    def task(tile: int) -> None:
        rows = slice(tile * height, (tile + 1) * height)
        of = grid.of[rows]
        targets, scales, rates = (matrix[rows] - grid.centers[of]) * inverse, grid.scales[of] * inverse, grid.rates[of]
        if roots is not None:
            targets *= roots[rows]
            scales *= roots[rows]
        window = min(max(2048, _WINDOW >> state_bits), 32 * (tiles[tile].size // 4 + 1))
        kernel("viterbi").encode(targets.ravel(), scales.ravel(), rates.ravel(), table, window, tiles[tile])

    parallel(task, len(tiles))
    return _joined(tiles, starts)


def _joined(tiles: list[np.ndarray], starts: np.ndarray) -> np.ndarray:
    """Strings of bits one behind the other."""
    packed = np.zeros((int(starts[-1]) + 7) // 8 + 1, np.uint8)
    for tile, start in zip(tiles, starts.tolist(), strict=False):
        place, shift = divmod(start, 8)
        words = tile.astype(np.uint16) << shift
        packed[place : place + tile.size] |= words.astype(np.uint8)
        packed[place + 1 : place + 1 + tile.size] |= (words >> 8).astype(np.uint8)
    return packed[:-1]
