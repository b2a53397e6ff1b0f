"""ĥ and ĝ of the excursions by width, batch and schedule, for several margins."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

from benchmarks.lockin.groups import widths
from benchmarks.lockin.jobs import Job, Setting
from benchmarks.lockin.plots.figures import COLORS, panels
from benchmarks.lockin.store import Results
from subbit.analysis.tails import Tail, fit_tail

__all__ = ["plot_widths"]


def plot_widths(results: Results, settings: Sequence[Setting]) -> Any:
    """A panel for each thing that is swept; filled marks ĥ, open ones ĝ, with 95 % intervals, a colour a ρ."""
    swept = {name: _tails(results, jobs) for name, jobs in widths(settings[0]).items()}
    if not all(swept.values()):
        return None
    figure, axes = panels(len(swept), width=3.6)
    for axis, (name, tails) in zip(axes, swept.items(), strict=True):
        places = range(len(tails))
        for color, rho in zip(COLORS, next(iter(tails.values())), strict=False):
            for part, face, line, shift in (("h", color, "o-", -0.06), ("g", "white", "s:", 0.06)):
                found = [_bar(own[rho], part) for own in tails.values()]
                middle, below, above = zip(*found, strict=True)
                axis.errorbar(
                    [place + shift for place in places], middle, (below, above), fmt=line, color=color,
                    markerfacecolor=face, markersize=5, linewidth=1, label=f"{part}̂, ρ = {rho:g} rms",
                )  # fmt: skip
        axis.set_xticks(places, list(tails))
        axis.set(xlabel=name, yscale="log", xlim=(-0.4, len(tails) - 0.6))
    low = min(axis.get_ylim()[0] for axis in axes)
    for axis in axes:
        axis.set_ylim(max(low, 1e-6), 1)
    axes[0].set_ylabel("ĥ = P[K$_{eff}$ ≥ 1],  ĝ = P[one more]")
    axes[-1].legend(fontsize=7.5, ncols=2, frameon=False, loc="upper right")
    return figure


def _tails(results: Results, jobs: Mapping[str, Job]) -> dict[str, dict[float, Tail]]:
    runs = {name: results.runs[job] for name, job in jobs.items() if job in results.runs}
    return {name: {found["rho"]: fit_tail(found["k"]) for found in run["excursions"]} for name, run in runs.items()}


def _bar(tail: Tail, part: str) -> tuple[float, float, float]:
    """The estimate and how far its interval reaches down and up; nothing for 0, which no log axis shows."""
    value, (low, high) = (tail.h, tail.h_interval) if part == "h" else (tail.g, tail.g_interval)
    return (value, value - low, high - value) if value > 0 else (math.nan, 0.0, 0.0)
