"""Means over seeds, and how they are written."""

from __future__ import annotations

import math
import statistics
from collections.abc import Callable, Sequence
from typing import Any

from benchmarks.lockin.jobs import Job
from benchmarks.lockin.store import Results

__all__ = ["Run", "against", "mean_and_std", "perplexity", "share", "spread", "stored", "tests", "values"]

Run = dict[str, Any]


def values(results: Results, job: Job, key: str) -> list[Any]:
    """One figure of every seed of a job."""
    return [run[key] for run in results.seeds(job)]


def tests(results: Results, job: Job) -> list[float]:
    """The test part, in nats a character."""
    return values(results, job, "test")


def against(
    results: Results, job: Job, control: Job, figure: Callable[[Run], float] = lambda run: run["test"]
) -> list[float]:
    """A figure less the control's, seed by seed."""
    base = {run["job"]["seed"]: figure(run) for run in results.seeds(control)}
    runs = [run for run in results.seeds(job) if run["job"]["seed"] in base]
    return [figure(run) - base[run["job"]["seed"]] for run in runs]


def perplexity(run: Run) -> float:
    """Of a character."""
    return math.exp(run["test"])


def stored(results: Results, job: Job, budget: float) -> list[Run]:
    """What was read back from files of this budget, of every seed."""
    return [part for run in results.seeds(job) for part in run.get("stored", []) if part["budget"] == budget]


def mean_and_std(found: Sequence[float]) -> tuple[float, float]:
    """Mean and standard deviation (n − 1; 0 for a single value)."""
    return statistics.mean(found), statistics.stdev(found) if len(found) > 1 else 0.0


def spread(found: Sequence[float], sign: str = "", digits: int = 3) -> str:
    """Mean and, of two or more, standard deviation; nothing of nothing."""
    if not found:
        return ""
    mean, deviation = mean_and_std(found)
    text = f"{mean:{sign}.{digits}f}"
    return f"{text} ± {deviation:.{digits}f}" if len(found) > 1 else text


def share(found: Sequence[float]) -> str:
    """The mean of shares; a plain 0 only if every one of them is."""
    mean = statistics.mean(found)
    return f"{mean:.1e}" if 0 < mean < 0.01 else f"{mean:.3g}"
