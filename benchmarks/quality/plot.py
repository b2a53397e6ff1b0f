"""Perplexity multiples over coded bits, ours and the peers', a panel a text."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from benchmarks.lockin.plots.figures import BLACK, BLUE, GRAY, RED, label, panels, save, style
from benchmarks.quality.jobs import SHIPPED, Job
from benchmarks.quality.ours import CALIBRATED, DATA_FREE
from benchmarks.quality.store import FOLDER, Results
from benchmarks.quality.tables import LANGUAGE, multiple
from benchmarks.quality.texts import TEXTS

__all__ = ["draw"]

HIGHEST = 1e3
"""Multiples above this are drawn here: such a model has nothing left."""


def draw(results: Results) -> None:
    """results/quality/perplexity.png; raises UsageError without matplotlib, and draws nothing without runs."""
    if Job(LANGUAGE, SHIPPED) not in results:
        return
    FOLDER.mkdir(parents=True, exist_ok=True)
    with style():
        figure, axes = panels(len(TEXTS), width=4.6)
        for axis, text in zip(axes, TEXTS, strict=True):
            _panel(axis, results, text)
        save(figure, FOLDER / "perplexity.png")


def _panel(axes: Any, results: Results, text: str) -> None:
    own = [job for job in results.runs if job.model == LANGUAGE and not job.without and not job.whole_file]
    other = next(each for each in TEXTS if each != text)
    lines = [
        (CALIBRATED, text, True, RED, "-"), (CALIBRATED, other, True, RED, "--"),
        (CALIBRATED, text, False, BLUE, "-"), (CALIBRATED, other, False, BLUE, "--"),
        (DATA_FREE, None, False, GRAY, "-"),
    ]  # fmt: skip
    for method, given, healed, color, dashes in lines:
        jobs = [job for job in own if (job.method, job.text, bool(job.heal)) == (method, given, healed)]
        if line := _points(results, jobs, text):
            axes.plot(*zip(*line, strict=True), dashes, marker="o", color=color, markersize=4, linewidth=1.2)
    methods = dict.fromkeys(job.method for job in own if job.method not in (SHIPPED, CALIBRATED, DATA_FREE))
    peers = {name: [job for job in own if job.method == name and job.text in (None, text)] for name in methods}
    points = {name: point for name, jobs in peers.items() for point in _points(results, jobs, text)}
    _label_peers(axes, points)
    axes.axhline(1, color=GRAY, linewidth=0.8, linestyle=":")
    axes.set(yscale="log", xlabel="coded bits a weight", ylabel="perplexity, × the shipped model's", title=f"on {text}")
    axes.set_ylim(0.9, HIGHEST * 100)
    axes.set_xlim(0, 5.6)
    notes = [
        ("subbit", BLUE), ("subbit, healed", RED), ("subbit, no data", GRAY),
        ("dashed: calibrated on the other text", BLACK), (_beyond(points), BLACK),
    ]  # fmt: skip
    for number, (note, color) in enumerate(notes):
        axes.text(
            0.98, 0.98 - 0.055 * number, note, color=color, transform=axes.transAxes, ha="right", va="top", fontsize=8
        )


def _label_peers(axes: Any, points: Mapping[str, tuple[float, float]]) -> None:
    """A square and a name each; names that would lie on each other are moved up, the highest are named elsewhere."""
    placed: list[tuple[float, float]] = []
    for name, (bits, height) in sorted(points.items(), key=lambda one: one[1], reverse=True):
        near = sum(abs(bits - other) < 1.5 and 0.7 < height / taken < 1.4 for other, taken in placed)
        axes.plot(bits, height, "s", color=BLACK, markersize=3.5)
        if height < HIGHEST:
            label(axes, name.removeprefix("llama.cpp "), (bits, height), BLACK, (5, 9 * near))
        placed.append((bits, height))


def _beyond(points: Mapping[str, tuple[float, float]]) -> str:
    """Which peers have nothing left, by their bits; two a line."""
    ordered = sorted(points.items(), key=lambda one: one[1])
    lost = [name.removeprefix("llama.cpp ") for name, (_, height) in ordered if height >= HIGHEST]
    lines = [", ".join(lost[k : k + 2]) for k in range(0, len(lost), 2)]
    return "\n".join([f"beyond {HIGHEST:,.0f}, drawn there:", *lines])


def _points(results: Results, jobs: Sequence[Job], text: str) -> list[tuple[float, float]]:
    runs = [results.runs[job] for job in jobs if "figures" in results.runs[job]]
    return sorted((run["coded_bits"], min(multiple(results, run, text), HIGHEST)) for run in runs)
