"""Learning rate and weight decay: the best for the dense control on the validation part, then everyone's."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import product

from benchmarks.lockin.jobs import Job, Setting
from benchmarks.lockin.store import Results

__all__ = ["DECAYS", "RATES", "candidates", "control", "settings"]

RATES = (2e-3, 4e-3, 6e-3)
DECAYS = (0.01, 0.1, 0.3)
_KEPT = 3


def candidates(results: Results, lengths: Sequence[int]) -> list[Setting]:
    """What the dense control tries at the last length, once those before it are measured.

    The whole grid at the first; then the best three of the length before, and half the best learning rate.
    """
    *before, steps = lengths
    if not before:
        return [Setting(steps, rate, decay) for rate, decay in product(RATES, DECAYS)]
    ranked = _ranked(results, before)
    pairs = [(tried.learning_rate, tried.weight_decay) for tried in ranked[:_KEPT]]
    pairs.append((ranked[0].learning_rate / 2, ranked[0].weight_decay))
    return [Setting(steps, rate, decay) for rate, decay in dict.fromkeys(pairs)]


def settings(results: Results, lengths: Sequence[int]) -> list[Setting]:
    """The best setting at every length, up to the first that is not measured yet."""
    found: list[Setting] = []
    for number in range(len(lengths)):
        if not all(control(tried) in results.runs for tried in candidates(results, lengths[: number + 1])):
            break
        found.append(_ranked(results, lengths[: number + 1])[0])
    return found


def _ranked(results: Results, lengths: Sequence[int]) -> list[Setting]:
    def validation(tried: Setting) -> float:
        value: float = results.runs[control(tried)]["validation"]
        return value

    return sorted(candidates(results, lengths), key=validation)


def control(tried: Setting) -> Job:
    """The dense control at seed 0, which tunes."""
    return tried.job(0)
