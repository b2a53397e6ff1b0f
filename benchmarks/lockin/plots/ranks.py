"""Loss against the rank of the template."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from benchmarks.lockin.averages import against, mean_and_std, tests
from benchmarks.lockin.groups import RANKS
from benchmarks.lockin.jobs import Setting
from benchmarks.lockin.plots.figures import BLUE, GRAY, RED, label, panels
from benchmarks.lockin.store import Results

__all__ = ["plot_ranks"]

Point = tuple[int, float, float]


def plot_ranks(results: Results, settings: Sequence[Setting]) -> Any:
    """The test loss less the dense control's of the same seed, a line a length; other templates stand to the right."""
    if not tests(results, settings[0].job(0, **RANKS["2"])):
        return None
    figure, (axes,) = panels(1, width=6.4)
    names = [name for name in RANKS if name.isdecimal()] + [name for name in RANKS if not name.isdecimal()]
    ranked = sum(name.isdecimal() for name in names)
    for color, shift, setting in zip((BLUE, RED), (-0.06, 0.06), settings, strict=False):
        found = {name: against(results, setting.job(0, **RANKS[name]), setting.job(0)) for name in names}
        points = [(place, *mean_and_std(found[name])) if found[name] else None for place, name in enumerate(names)]
        _draw(axes, points[:ranked], "o-", color, shift, f"{setting.steps:,} steps")
        _draw(axes, points[ranked:], "s", color, shift, None)
    axes.axhline(0, color=GRAY, linestyle="--")
    label(axes, "dense", (len(names) - 0.6, 0), GRAY, (0, 6))
    axes.legend(frameon=False)
    axes.axvline(ranked - 0.5, color=GRAY, linewidth=0.6)
    axes.set_xticks(range(len(names)), [f"r = {name}" if name.isdecimal() else name for name in names])
    axes.set(xlabel="template (projection, no gap)", ylabel="test less dense, nats a character")
    return figure


def _draw(axes: Any, points: Sequence[Point | None], style: str, color: str, shift: float, name: str | None) -> None:
    known = [point for point in points if point is not None]
    if known:
        places, means, deviations = zip(*known, strict=True)
        shifted = [place + shift for place in places]
        axes.errorbar(shifted, means, deviations, fmt=style, color=color, capsize=2, label=name)
