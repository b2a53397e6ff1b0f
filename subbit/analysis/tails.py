"""The geometric tail of sign excursions, P[K_eff ≥ k] ≈ ĥ · ĝ^(k−1): fitted to counts, read from a history, drawn."""

from __future__ import annotations

import json
import math
from collections.abc import Sequence
from dataclasses import dataclass
from os import PathLike
from pathlib import Path
from typing import Any

import numpy as np

from subbit.analysis.pyplot import saved_figure
from subbit.errors import SubbitError

__all__ = ["Tail", "fit_tail", "plot_tails", "read_history", "share_interval"]

_CONFIDENCE = 0.95


@dataclass(frozen=True)
class Tail:
    """ĥ, the share of weights with K_eff ≥ 1, and ĝ, how likely one more is, each with its 95 % interval.

    Without a weight that came back with the other sign ĝ is NaN and its interval is 0 … 1.
    """

    h: float
    g: float
    h_interval: tuple[float, float]
    g_interval: tuple[float, float]


def fit_tail(counts: Sequence[int]) -> Tail:
    """Fit to `counts[k]` weights with K_eff = k, the last entry for all that reached it (at least that many).

    Maximum likelihood in closed form: ĥ = n₁ / n with n₁ weights at k ≥ 1; ĝ = c / (c + s) with c = Σ (k − 1)
    continuations and s stops, where the weights of the last entry never stopped. Intervals: Clopper & Pearson (1934),
    exact if weights moved independently; weights of one network do not, so true intervals are wider.
    """
    k = np.arange(len(counts))
    found = np.asarray(counts, np.int64)
    total, changed = int(found.sum()), int(found[1:].sum())
    stops = changed - int(found[-1])
    continued = int((found[1:] * (k[1:] - 1)).sum())
    h, h_interval = share_interval(changed, total)
    g, g_interval = share_interval(continued, continued + stops)
    return Tail(h, g, h_interval, g_interval)


def share_interval(hits: int, trials: int) -> tuple[float, tuple[float, float]]:
    """hits / trials and its 95 % Clopper–Pearson interval; NaN and (0, 1) for no trials."""
    if trials == 0:
        return math.nan, (0.0, 1.0)
    miss = (1 - _CONFIDENCE) / 2
    low = 0.0 if hits == 0 else _solve(lambda p: 1 - _at_most(hits - 1, trials, p), miss)
    high = 1.0 if hits == trials else _solve(lambda p: 1 - _at_most(hits, trials, p), 1 - miss)
    return hits / trials, (low, high)


def read_history(path: str | PathLike[str]) -> list[dict[str, Any]]:
    """The lines that a `FlipTracker` wrote, oldest first; a :class:`SubbitError` for a file that is none."""
    try:
        lines = [json.loads(line) for line in Path(path).read_text(encoding="utf-8").splitlines()]
        if lines and all({"step", "weights", "excursions"} <= line.keys() for line in lines):
            return lines
    except (ValueError, AttributeError):
        pass
    except OSError as error:
        raise SubbitError(error.strerror or str(error), kind="unreadable", path=path) from None
    raise SubbitError("is no history of flips", kind="history", path=path)


def plot_tails(history: str | PathLike[str], path: str | PathLike[str]) -> None:
    """Draw P[K_eff ≥ k] for each ρ of the last line of a history, on a log scale, with the fits, into `path`.

    Raises :class:`UsageError` without matplotlib, :class:`SubbitError` for a file that is no history.
    """
    last = read_history(history)[-1]
    with saved_figure(path) as axes:
        for number, excursions in enumerate(last["excursions"]):
            counts, color = excursions["k"], f"C{number}"
            tail = fit_tail(counts)
            at_least = np.cumsum(counts[::-1])[::-1][1:] / max(1, last["weights"])
            k = np.arange(1, len(counts))
            seen = at_least > 0
            label = f"ρ = {excursions['rho']:g}: ĥ = {tail.h:.3g}, ĝ = {tail.g:.3g}"
            axes.plot(k[seen], at_least[seen], "o", color=color, label=label)
            if seen.any() and tail.g > 0:
                axes.plot(k[seen], tail.h * tail.g ** (k[seen] - 1.0), "--", color=color)
        axes.set(xlabel="k", ylabel="P[K_eff ≥ k]", yscale="log", title=f"step {last['step']:,}")
        axes.legend()


def _solve(rising: Any, value: float) -> float:
    """Where a rising function of 0 … 1 takes this value, to the last bit."""
    low, high = 0.0, 1.0
    for _ in range(60):
        middle = (low + high) / 2
        low, high = (middle, high) if rising(middle) < value else (low, middle)
    return (low + high) / 2


def _at_most(hits: int, trials: int, p: float) -> float:
    """P[X ≤ hits] of X ~ Binomial(trials, p) with hits < trials: the incomplete beta function I_{1−p}(n − k, k + 1)."""
    return _incomplete_beta(trials - hits, hits + 1, 1 - p)


def _incomplete_beta(a: float, b: float, x: float) -> float:
    """I_x(a, b) by Lentz's continued fraction (Numerical Recipes, §6.4)."""
    if x <= 0 or x >= 1:
        return float(x >= 1)
    if x > (a + 1) / (a + b + 2):
        return 1 - _incomplete_beta(b, a, 1 - x)
    log_front = math.lgamma(a + b) - math.lgamma(a) - math.lgamma(b) + a * math.log(x) + b * math.log1p(-x)
    c, d = 1.0, 1 / (1 - (a + b) * x / (a + 1))
    fraction = d
    for m in range(1, 100_000):
        for top in (
            m * (b - m) / ((a + 2 * m - 1) * (a + 2 * m)),
            -(a + m) * (a + b + m) / ((a + 2 * m) * (a + 2 * m + 1)),
        ):
            d, c = 1 / (1 + top * x * d), 1 + top * x / c
            fraction *= c * d
        if abs(c * d - 1) < 1e-14:
            break
    return math.exp(log_front) * fraction / a
