"""Loss against stored bits, compressed after training without any tuning."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from benchmarks.lockin.averages import mean_and_std, stored, tests
from benchmarks.lockin.groups import BUDGETS, VARIANTS
from benchmarks.lockin.jobs import Job, Setting
from benchmarks.lockin.plots.figures import BLACK, BLUE, GRAY, RED, panels
from benchmarks.lockin.store import Results

__all__ = ["plot_bits"]

_SHOWN = {"dense": BLACK, "hashed-project": BLUE, "hashed-barrier": RED}


def plot_bits(results: Results, settings: Sequence[Setting]) -> Any:
    """Test loss at the bits of a block weight that the file has, a panel a length; dashed: before compression."""
    lengths = [own for own in settings if stored(results, own.job(0), BUDGETS[0])]
    if not lengths:
        return None
    figure, axes = panels(len(lengths))
    for axis, setting in zip(axes, lengths, strict=True):
        for place, (variant, color) in enumerate(_SHOWN.items()):
            _curve(axis, results, setting.job(0, **VARIANTS[variant]), variant, color, place)
        axis.set(xlabel="stored bits a block weight", ylabel="test, nats a character", title=f"{setting.steps:,} steps")
        axis.set_xticks([0.25, 0.5, 0.75, 1, 2])
        axis.set_xlim(0.15, 2.1)
        note = "dashed: not compressed"
        axis.text(0.97, 0.76, note, color=GRAY, transform=axis.transAxes, ha="right", va="top", fontsize=8)
    return figure


def _curve(axes: Any, results: Results, job: Job, name: str, color: str, place: int) -> None:
    points = []
    for budget in BUDGETS:
        if parts := stored(results, job, budget):
            points.append(
                (mean_and_std([part["bits"] for part in parts])[0], *mean_and_std([part["test"] for part in parts]))
            )
    if points:
        bits, means, deviations = zip(*points, strict=True)
        axes.errorbar(bits, means, deviations, fmt="o-", color=color, markersize=4, linewidth=1.2, capsize=2)
        axes.axhline(mean_and_std(tests(results, job))[0], color=color, linestyle="--", linewidth=0.8)
        axes.text(0.97, 0.97 - 0.07 * place, name, color=color, transform=axes.transAxes, ha="right", va="top")
