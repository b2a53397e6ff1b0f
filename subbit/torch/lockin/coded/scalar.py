"""`LowBit` and `DeadZone` in the loop: levels of an entropy-coded grid; what they stand for is trained."""

from __future__ import annotations

import numpy as np
import torch
from torch import nn

from subbit.codecs import DeadZone, LowBit
from subbit.codecs.scalar.coding import budget_bits
from subbit.codecs.scalar.density import Density
from subbit.codecs.scalar.parts import CENTERED
from subbit.codecs.scalar.quantizer import LEVELS, Costs, Pass, Tables, fit_levels, run
from subbit.codecs.scalar.search import Quantized, Scene, best_scene, fit_budget, plain_scene, total_bits
from subbit.codecs.scalar.steps import StepCodes, Steps
from subbit.codecs.scalar.writing import write_sections
from subbit.torch.lockin.coded.base import Values, straight

__all__ = ["ScalarValues"]

_PACE = 3.0
"""Steps and octaves that a centre and a scale move for each unit of their parameters: they must outrun the weights."""
_MIDDLE, _RANGE = 32, 64
"""Quarter octaves: where the steps of the rows begin, and how far they go."""
_AIM = 0.99
_FINEST = 32.0
"""Root mean squares are at most so many steps: finer than six bits ask for, and well below the last level."""
_PATIENCE, _LARGEST_MOVE = 0.05, 0.02
"""The power of a missed budget by which one `assign` moves the step, and how far at most."""
_COARSER, _COARSEST = 1.01, 1.1
_SCALE_BITS = 3
_SMALLEST, _WIDEST = 2.0**-100, 2.0**100


class ScalarValues(Values):
    """Level × step of the row; the first levels stand for trained centres. Starts as the codec fits the target.

    The parameters say how far the centres of the first four levels have moved (`centers`, rounded to 1/256 step) and
    the steps of the rows (`scales`, rounded to quarter octaves, 2 to 4 bits a row; none where that is over a quarter
    of the budget). `assign` chooses levels by error and rate as the codec does. It keeps to the codec's rate by moving
    the step of the tensor, a little after each choice, or as far as the budget demands before it. Weights beyond the
    last level, 127 steps, are cut to it.
    """

    step: torch.Tensor
    symbols: torch.Tensor
    start: torch.Tensor
    costs: torch.Tensor
    grid: torch.Tensor
    scales: nn.Parameter | None

    def __init__(self, target: torch.Tensor, codec: LowBit | DeadZone) -> None:
        super().__init__(target, codec)
        self.signed, (rows, cols) = isinstance(codec, DeadZone), target.shape
        self.limit = budget_bits(codec.rate, rows, cols)
        step_bits = _row_steps(np.full(rows, _MIDDLE), cols).bits
        by_row = step_bits + _SCALE_BITS * rows <= self.limit / 4
        scales = nn.Parameter(torch.zeros(rows, device=target.device)) if by_row else None
        budget = _AIM * self.limit - (step_bits if by_row else 0)
        scene = self._scene(self._matrix(target, np.inf), Steps.equal(rows, cols))
        fitted = fit_budget(scene, best_scene(scene, budget, contexts=False)[1], budget)
        step = float(fitted.step) / (2 ** (_MIDDLE // 4) if by_row else 1)
        self.register_buffer("step", torch.tensor(min(max(step, _SMALLEST), _WIDEST), device=target.device))
        self.register_buffer("start", torch.from_numpy(fitted.tables.offsets[0].astype(np.float32)).to(target.device))
        self.register_buffer("costs", torch.from_numpy(fitted.tables.costs).to(target.device))
        grid = _row_steps(np.arange(_RANGE + 1), 1).steps().rows
        self.register_buffer("grid", torch.from_numpy(grid).to(target.device), persistent=False)
        self.register_buffer("symbols", torch.zeros(rows, cols, dtype=torch.uint8, device=target.device))
        self.centers = nn.Parameter(torch.zeros(CENTERED, device=target.device))
        self.register_parameter("scales", scales)
        self.assign(target)

    def forward(self) -> torch.Tensor:
        """Look up, then one multiplication."""
        offsets = straight(self._offsets(), _PACE * 256 * self.centers) / 256
        centers = torch.arange(LEVELS, dtype=torch.float32, device=offsets.device)
        centers = torch.cat([centers[:CENTERED] + offsets, centers[CENTERED:]])
        symbols = self.symbols.int()
        values = nn.functional.embedding((symbols + 1) >> 1 if self.signed else symbols, centers[:, None])[..., 0]
        if self.signed:
            values = torch.where((symbols > 0) & (symbols & 1 == 0), -values, values)
        if self.scales is None:
            return values * self.step.float()
        octaves = _PACE * self.scales.float()
        moved = torch.exp2(octaves - octaves.detach())  # is 1, and has the gradient of what is rounded to codes
        return values * (self.step.float() * self.grid.float()[self._codes()] * moved)[:, None]

    @torch.no_grad()
    def assign(self, target: torch.Tensor) -> None:
        """Choose levels, then move the step towards the budget; beyond the budget, choose anew with a larger step."""
        step_bits = self._step_codes().bits
        relative = torch.from_numpy(self._steps().rows[:, None]).to(target.device)
        self.step.clamp_(min=torch.linalg.vector_norm(target / relative).item() / target.numel() ** 0.5 / _FINEST)
        while True:  # at fixed costs, so that a larger step always takes fewer bits
            quantized = self._quantized(target)
            bits = total_bits(quantized, target.numel()) + step_bits
            if bits <= self.limit or quantized.found.levels.count == 1 or self.step.item() >= _WIDEST:
                break
            self._move(min(max(bits / self.limit, _COARSER), _COARSEST))
        costs = torch.from_numpy(quantized.tables.costs)
        if self.signed:  # where no zero is left, zeros must not be shut out for ever
            costs[:, 0] = torch.minimum(costs[:, 0], costs[:, 1])
        self.costs.copy_(costs)
        self.symbols.copy_(torch.from_numpy(quantized.symbols))
        self._move(min(max((bits / (_AIM * self.limit)) ** _PATIENCE, 1 - _LARGEST_MOVE), 1 + _LARGEST_MOVE))

    @torch.no_grad()
    def sections(self) -> dict[str, bytes]:
        """The model with one context, and the symbols."""
        symbols = self.symbols.cpu().numpy()
        histogram = np.bincount(symbols.ravel(), minlength=2 * LEVELS - 1)[None]
        tables = Tables(self._costs(), self._integers())
        found = Pass(fit_levels(histogram, self.signed), 0.0, 0.0, 0.0, 0, tables)
        matrix = np.empty(symbols.shape, np.float32)  # its shape is all that is asked for
        return write_sections(self._found(matrix, found, symbols), self._step_codes())

    def _quantized(self, target: torch.Tensor) -> Quantized:
        """What the codec's own pass makes of a target at the step, the centres and the costs of now."""
        steps, step = self._steps(), np.float32(self.step.item())
        matrix = self._matrix(target, step * steps.rows[:, None] * np.float32(LEVELS - 1))
        symbols, tables = np.empty(matrix.shape, np.uint8), Tables(self._costs(), self._integers())
        none, costs = Density.none(*matrix.shape), Costs.equal(*matrix.shape)
        found = run(matrix, step, steps, costs, none, tables, self.signed, symbols, matrix)
        return self._found(matrix, found, symbols)

    def _found(self, matrix: np.ndarray, found: Pass, symbols: np.ndarray) -> Quantized:
        tables = Tables(found.tables.costs, self._integers())
        scene = self._scene(matrix, self._steps())
        return Quantized(scene, np.float32(self.step.item()), tables, found, symbols, matrix)

    def _scene(self, matrix: np.ndarray, steps: Steps) -> Scene:
        return plain_scene(matrix, steps, Costs.equal(*matrix.shape), self.signed)

    def _matrix(self, target: torch.Tensor, largest: np.ndarray | float) -> np.ndarray:
        """The target as the codec takes it: no magnitude below 0, none beyond the last level."""
        lowest = -largest if self.signed else np.float32(0)
        return np.ascontiguousarray(np.clip(target.detach().float().cpu().numpy(), lowest, largest))

    def _move(self, factor: float) -> None:
        self.step.mul_(factor).clamp_(_SMALLEST, _WIDEST)

    def _costs(self) -> np.ndarray:
        costs: np.ndarray = self.costs.float().cpu().numpy()
        return costs

    def _integers(self) -> np.ndarray:
        return self._offsets().cpu().numpy().astype(np.int16)[None]

    @torch.no_grad()
    def _offsets(self) -> torch.Tensor:
        """The first centres in 1/256 step from their levels, near enough for the codec to consider them."""
        offsets = (self.start.float() + _PACE * 256 * self.centers.float()).round().clamp(-255, 511)
        offsets[0] = 0 if self.signed else offsets[0].clamp(min=0)
        return offsets

    @torch.no_grad()
    def _codes(self) -> torch.Tensor:
        """The step of every row in quarter octaves."""
        if self.scales is None:
            return torch.zeros(len(self.symbols), dtype=torch.long)
        return (_MIDDLE + 4 * _PACE * self.scales.float()).round().clamp(0, _RANGE).long()

    def _steps(self) -> Steps:
        return self._step_codes().steps()

    def _step_codes(self) -> StepCodes:
        return _row_steps(self._codes().cpu().numpy(), self.symbols.shape[1])


def _row_steps(codes: np.ndarray, cols: int) -> StepCodes:
    return StepCodes(codes, np.zeros(cols, np.int64))
