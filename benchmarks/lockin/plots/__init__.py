"""The figures of results/lockin.json as PNG, one module a figure."""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence
from typing import Any

from benchmarks.lockin.jobs import Setting
from benchmarks.lockin.plots.bits import plot_bits
from benchmarks.lockin.plots.drift import plot_drift
from benchmarks.lockin.plots.figures import save, style
from benchmarks.lockin.plots.ranks import plot_ranks
from benchmarks.lockin.plots.tails import plot_tails
from benchmarks.lockin.plots.tradeoff import plot_tradeoff
from benchmarks.lockin.plots.wall import plot_wall
from benchmarks.lockin.plots.widths import plot_widths
from benchmarks.lockin.store import FOLDER, Results

__all__ = ["PLOTS", "draw"]

PLOTS: dict[str, Callable[[Results, Sequence[Setting]], Any]] = {
    "wall": plot_wall, "drift": plot_drift, "tails": plot_tails, "widths": plot_widths, "tradeoff": plot_tradeoff,
    "ranks": plot_ranks, "bits": plot_bits,
}  # fmt: skip


def draw(results: Results, settings: Sequence[Setting]) -> None:
    """Every figure that there are runs for, as results/lockin/NAME.png; raises UsageError without matplotlib."""
    FOLDER.mkdir(parents=True, exist_ok=True)
    for name, plot in PLOTS.items():
        with style():
            if (figure := plot(results, settings)) is None:
                print(f"no runs for {name}", file=sys.stderr)
            else:
                save(figure, FOLDER / f"{name}.png")
