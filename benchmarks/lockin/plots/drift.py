"""How many signs differ from the initial ones while the dense control trains."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from benchmarks.lockin.jobs import Setting
from benchmarks.lockin.plots.figures import COLORS, GRAY, label, panels
from benchmarks.lockin.store import Results

__all__ = ["plot_drift"]

_LINE = 0.02
"""How far labels keep from each other."""


def plot_drift(results: Results, settings: Sequence[Setting]) -> Any:
    """A line a kind of matrix, a panel a length, seed 0."""
    runs = [results.runs[setting.job(0)] for setting in settings if setting.job(0) in results.runs]
    if not runs:
        return None
    figure, axes = panels(len(runs))
    for axis, run in zip(axes, runs, strict=True):
        steps = [0] + [step for step, _ in run["drift"]]
        final, height = run["flips_by_matrix"], 0.0
        colors = dict(zip(final, COLORS, strict=False))
        for kind in sorted(final, key=final.__getitem__):
            axis.plot(steps, [0.0] + [shares[kind] for _, shares in run["drift"]], color=colors[kind])
            height = max(final[kind], height + _LINE)
            label(axis, kind, (steps[-1], height), colors[kind])
        axis.axhline(0.5, color=GRAY, linestyle="--")
        label(axis, "unrelated signs", (0, 0.5), GRAY, (4, -7))
        axis.set(xlabel="step", ylabel="share of signs unlike the initial ones", ylim=(0, 0.53))
        axis.set_title(f"dense, learning rate {run['job']['learning_rate']:g}")
    return figure
