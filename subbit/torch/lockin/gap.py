"""Gap initialization: no weight starts close to zero, where signs are lost."""

from __future__ import annotations

import math
from collections.abc import Mapping

import numpy as np
import torch

from subbit.errors import SubbitError, UsageError
from subbit.kernels import kernel
from subbit.torch.targets import Target

__all__ = ["DEFAULT_GAP", "gap_threshold", "gaps_of", "resampled"]

DEFAULT_GAP = 0.5
"""In σ of the layer's own initialization, before the scale is brought back."""

_STREAM = 3  # of the counter hash: the templates use 0, 1 and 2


def gaps_of(targets: list[Target], gap: float | Mapping[str, float]) -> list[float]:
    """The gap of every target in σ: the first pattern that fits it decides; one that none fits has the default.

    Raises :class:`UsageError` for a gap that is no number ≥ 0 (kind "gap") or a pattern that fits no target
    ("targets").
    """
    by_pattern = dict(gap) if isinstance(gap, Mapping) else {}
    default = DEFAULT_GAP if isinstance(gap, Mapping) else gap
    for value in (default, *by_pattern.values()):
        if not (isinstance(value, int | float) and 0 <= value < math.inf):
            raise UsageError(f"gap={value!r} is no number of standard deviations", kind="gap")
    for pattern in by_pattern:
        if not any(target.fits(pattern) for target in targets):
            hint = f"the targets are {', '.join(target.name for target in targets)}"
            raise UsageError(f"the gap's pattern {pattern!r} fits no target", kind="targets", hint=hint)
    return [next((float(v) for p, v in by_pattern.items() if t.fits(p)), float(default)) for t in targets]


def gap_threshold(weight: torch.Tensor, gap: float) -> float:
    """a = gap · σ for the σ that this matrix was initialized with, measured on it.

    Raises :class:`SubbitError` for weights that are not finite (kind "nonfinite") and :class:`UsageError` (kind
    "gap") where no weight reaches a: all zero, or a gap wider than the law's own reach (√3 σ for a uniform one).
    """
    with torch.no_grad():
        spread = torch.std(weight.float(), correction=0).item()
        largest = torch.linalg.vector_norm(weight, math.inf).item()
    if not math.isfinite(largest) or not math.isfinite(spread):
        raise SubbitError("has NaN or infinite weights", kind="nonfinite")
    if largest == 0:
        raise UsageError("is all zeros and has no law to keep", kind="gap", hint="initialize it, or leave it out")
    if largest < gap * spread:
        hint = f"choose a gap below {largest / spread:.2f}"
        raise UsageError(f"a gap of {gap:g} sigma is wider than its initialization", kind="gap", hint=hint)
    return gap * spread


def resampled(weight: torch.Tensor, threshold: float, seed: int) -> tuple[torch.Tensor, float]:
    """|W| without the magnitudes below the threshold, and the threshold that holds then.

    Every one of them is replaced by one of the matrix's own above it, drawn by hash: the paper's "draw again until
    |z| ≥ a" with the matrix's own values as the law, be it normal, uniform or any other. Then all are multiplied so
    that the root mean square is what it was: at .5 σ of a normal law by .80, without which a model learns more slowly
    (`python -m benchmarks.lockin`). Exact zeros (padding rows, masks) stay zero.
    """
    magnitudes = weight.detach().abs()
    below = (magnitudes < threshold) & (magnitudes > 0)
    pool = magnitudes[magnitudes >= threshold]
    count = int(below.sum())
    if not count:
        return magnitudes, threshold
    words = kernel("counter_hash").words(seed, _STREAM, 0, count)
    index = torch.from_numpy((words % np.uint64(len(pool))).astype(np.int64))
    magnitudes[below] = pool[index.to(pool.device)]
    share = _norm(weight) / _norm(magnitudes)
    return magnitudes * share, threshold * share


def _norm(values: torch.Tensor) -> float:
    norm: float = torch.linalg.vector_norm(values.detach(), dtype=torch.float64).item()
    return norm
