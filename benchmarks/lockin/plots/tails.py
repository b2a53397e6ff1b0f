"""Excursions: how many weights come back k times with the other sign."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from benchmarks.lockin.groups import excursions
from benchmarks.lockin.jobs import Setting
from benchmarks.lockin.plots.figures import COLORS, label, panels
from benchmarks.lockin.store import Results
from subbit.analysis.tails import fit_tail

__all__ = ["plot_tails"]

_KS = 6


def plot_tails(results: Results, settings: Sequence[Setting]) -> Any:
    """P[K_eff ≥ k] of the dense control by learning rate with the fits ĥ ĝ^(k−1), a panel a ρ."""
    runs = {rate: results.runs[job] for rate, job in excursions(settings[0]).items() if job in results.runs}
    if not runs:
        return None
    thresholds = next(iter(runs.values()))["excursions"]
    figure, axes = panels(len(thresholds), width=3.6)
    for number, axis in enumerate(axes):
        for color, (rate, run) in zip(COLORS, runs.items(), strict=False):
            _tail(axis, run["excursions"][number], f"{rate:g}", color)
        axis.set(
            xlabel="k",
            yscale="log",
            xlim=(-0.1, _KS + 0.5),
            ylim=(1e-6, 1),
            title=f"ρ = {thresholds[number]['rho']:g} rms",
        )
        axis.set_xticks(range(1, _KS + 1))
    axes[0].set_ylabel("P[K$_{eff}$ ≥ k], share of weights")
    axes[-1].text(0.98, 0.98, "peak learning rate beside k = 1;\ndashed: ĥ ĝ$^{k−1}$", transform=axes[-1].transAxes,
                  ha="right", va="top", fontsize=8)  # fmt: skip
    return figure


def _tail(axes: Any, found: Mapping[str, Any], name: str, color: str) -> None:
    counts = found["k"]
    shares = [sum(counts[k:]) / sum(counts) for k in range(1, _KS + 1)]
    seen = [(k, share) for k, share in enumerate(shares, 1) if share]
    if not seen:
        return
    tail = fit_tail(counts)
    axes.plot(*zip(*seen, strict=True), "o", color=color, markersize=4)
    if tail.g > 0:
        fitted = [(k, tail.h * tail.g ** (k - 1)) for k in (1, seen[-1][0] + 1)]
        axes.plot(*zip(*fitted, strict=True), "--", color=color, linewidth=1)
    label(axes, name, (1, shares[0]), color, (-6, 0))
