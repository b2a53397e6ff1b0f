"""The one-bit wall: entropy of the signs, and what a low rank holds of signs and of magnitudes."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from benchmarks.lockin.jobs import Setting
from benchmarks.lockin.plots.figures import BLUE, GRAY, RED, panels
from benchmarks.lockin.store import Results

__all__ = ["plot_wall"]

_MARKS = "osD^v"


def plot_wall(results: Results, settings: Sequence[Setting]) -> Any:
    """Ĥ over the matrices of each model, and mean errors of the best approximation by rank."""
    found = {wall.model: report for wall, report in results.walls.items() if "matrices" in report}
    if not found:
        return None
    figure, (entropies, ranks) = panels(2, width=4.6)
    _entropies(entropies, found)
    _ranks(ranks, found)
    return figure


def _entropies(axes: Any, found: dict[str, dict[str, Any]]) -> None:
    names = [f"{name}\n{report['matrices']} matrices\nmean {report['entropy']:.3f}" for name, report in found.items()]
    for place, report in enumerate(found.values()):
        low, tenth, middle, ninth, high = report["entropy_quantiles"]
        axes.plot([low, high], [place, place], color=BLUE, linewidth=1)
        axes.plot([tenth, ninth], [place, place], color=BLUE, linewidth=4, solid_capstyle="butt")
        axes.plot(middle, place, "o", color="white", markeredgecolor=BLUE, markersize=5)
    axes.axvline(1, color=GRAY, linestyle="--")
    axes.set_yticks(range(len(found)), names)
    axes.set(xlabel="entropy rate Ĥ, bits a sign (1: random)", xlim=(None, 1.03), ylim=(-0.5, len(found) - 0.5))
    axes.set_title("over matrices: range, middle 80 %, median")


def _ranks(axes: Any, found: dict[str, dict[str, Any]]) -> None:
    shares = [point["share"] for point in next(iter(found.values()))["ranks"]]
    for mark, (name, report) in zip(_MARKS, found.items(), strict=False):
        for kind, color, line in (("random", GRAY, "--"), ("signs", BLUE, "-"), ("magnitudes", RED, "-")):
            errors = [point[kind] for point in report["ranks"]]
            axes.plot(shares, errors, line, color=color, marker=None if kind == "random" else mark, markersize=4,
                      linewidth=1, label=name if kind == "signs" else None)  # fmt: skip
    axes.set(xscale="log", xlabel="rank r / min(m, n)", ylabel="error left, ‖X − X$_r$‖² / ‖X‖²", ylim=(0, 1))
    axes.set_xticks(shares, [f"1/{round(1 / share)}" for share in shares])
    axes.minorticks_off()
    axes.legend(fontsize=7.5, frameon=False, loc=(0.02, 0.4))
    axes.set_title("blue: signs, dashed: random signs, red: magnitudes")
