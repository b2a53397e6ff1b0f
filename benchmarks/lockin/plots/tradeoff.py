"""Loss against flips: what gap and barrier cost."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from benchmarks.lockin.averages import mean_and_std, tests, values
from benchmarks.lockin.groups import FORCES, GAPS, barrier, project
from benchmarks.lockin.jobs import Job, Setting
from benchmarks.lockin.plots.figures import BLACK, BLUE, GRAY, GREEN, RED, panels
from benchmarks.lockin.store import Results

__all__ = ["plot_tradeoff"]

_ZERO = 1e-6
"""Where runs without any flip are drawn."""


def plot_tradeoff(results: Results, settings: Sequence[Setting]) -> Any:
    """A panel a template, a line a gap through its forces; error bars are standard deviations over seeds."""
    short = settings[0]
    if not tests(results, short.job(0, **barrier("hashed"))):
        return None
    figure, axes = panels(2, width=4.8)
    for axis, template in zip(axes, ("hashed", "angle"), strict=True):
        for color, gap in zip((BLUE, GREEN, RED), GAPS, strict=True):
            jobs = [short.job(0, **barrier(template, gap, force)) for force in FORCES]
            points = [point for job in jobs if (point := _point(results, job))]
            _draw(axis, points, color, "o-", f"gap {gap:g} σ")
        for name, mark, color, job in (
            ("dense", "D", BLACK, short.job(0)), ("projection", "s", GRAY, short.job(0, **project(template))),
        ):  # fmt: skip
            if point := _point(results, job):
                _draw(axis, [point], color, mark, name)
        axis.set(xscale="log", xlabel="share of signs flipped", ylabel="test, nats a character", xlim=(_ZERO / 2, 1))
        axis.set_xticks(
            [_ZERO, 1e-5, 1e-4, 1e-3, 1e-2, 1e-1, 1], ["0", "$10^{-5}$", *(f"$10^{{{n}}}$" for n in range(-4, 1))]
        )
        axis.set_title(
            f"{template} template; along a line force {', '.join(f'{force:g}' for force in reversed(FORCES))}"
        )
        axis.legend(fontsize=8, frameon=False)
    return figure


def _point(results: Results, job: Job) -> tuple[float, float, float] | None:
    found = tests(results, job)
    return (max(_ZERO, mean_and_std(values(results, job, "flips"))[0]), *mean_and_std(found)) if found else None


def _draw(axes: Any, points: Sequence[tuple[float, float, float]], color: str, style: str, name: str) -> None:
    if points:
        flips, means, deviations = zip(*points, strict=True)
        axes.errorbar(
            flips, means, deviations, fmt=style, color=color, markersize=5, linewidth=1, capsize=2, label=name
        )
