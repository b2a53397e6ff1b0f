"""The pictures of docs/how.md that no benchmark draws, from stored results.

python -m benchmarks.pictures     write docs/figures/*.png: errors against the bound, and where the bits go
"""

from __future__ import annotations

import json
from typing import Any

import numpy as np

from benchmarks.lockin.plots.figures import BLACK, BLUE, GRAY, ORANGE, RED, label, panels, save, style
from benchmarks.quality.ours import CALIBRATED
from benchmarks.quality.store import Results
from benchmarks.quality.tables import LANGUAGE
from benchmarks.report import ROOT

FOLDER = ROOT / "docs" / "figures"
RATE = ROOT / "benchmarks" / "results" / "rate.json"
WEIGHTS, COVERED = 134_515_008, 106_168_320
"""Of SmolLM2-135M, and those of them that the bits of a calibrated file are for; a fifth is its embedding."""


def main() -> None:
    """Draw both."""
    FOLDER.mkdir(parents=True, exist_ok=True)
    with style():
        save(_bound(), FOLDER / "bound.png")
        save(_bits(), FOLDER / "bits.png")


def _bound() -> Any:
    """Error over bits of Gaussian weights, ordinary and with signs from a template."""
    data = json.loads(RATE.read_text("utf-8"))["data"]
    figure, (axes,) = panels(1, width=6.4, height=4.2)
    rates = np.linspace(0, 2.7, 200)
    axes.plot(rates, 4.0**-rates, color=GRAY, linewidth=1)
    label(axes, "bound of Gaussian weights, 2⁻²ᴿ", (0.06, 4.0**-0.06), GRAY, (4, 8))
    for name, method, color, text in (
        ("gaussian", "subbit compress,", BLUE, "subbit"), ("template-hashed", "subbit compress,", RED, "signs known"),
    ):  # fmt: skip
        rows = [row for row in data[name]["rows"] if row["method"].startswith(method)]
        points = [(row["bits"], row["error"]) for row in rows]
        axes.plot(*zip(*points, strict=True), "o-", color=color, markersize=4, linewidth=1.2)
        label(axes, text, points[1], color, (7, 6))
    for row in data["gaussian"]["rows"]:
        if row["method"].startswith("llama.cpp"):
            axes.plot(row["bits"], row["error"], "s", color=BLACK, markersize=3.5)
            label(axes, row["method"].removeprefix("llama.cpp "), (row["bits"], row["error"]), BLACK, (5, 5))
    axes.set(yscale="log", xlabel="stored bits a weight", ylabel="‖W − W'‖² / ‖W‖²", xlim=(0, 2.9))
    return figure


def _bits() -> Any:
    """Megabytes of SmolLM2's files: what the budget covers, and the rest, most of it embedding."""
    runs = Results().runs.items()
    plain = {
        (job.bits, job.whole_file): run
        for job, run in runs
        if (job.model, job.method, job.text) == (LANGUAGE, CALIBRATED, "wikitext2")
        and not job.without
        and (job.whole_file or not job.heal)
    }
    figure, (axes,) = panels(1, width=6.4, height=3.2)
    for place, ((bits, whole), run) in enumerate(sorted(plain.items(), key=lambda one: -one[1]["file_bits"])):
        total = run["file_bits"] * WEIGHTS / 8e6
        coded = total if whole else run["coded_bits"] * COVERED / 8e6
        axes.barh(place, coded, color=BLUE)
        axes.barh(place, total - coded, left=coded, color=ORANGE)
        asked = f"--file-bits {bits:g}" if whole else f"--bits {bits:g}"
        axes.text(-0.6, place, asked, ha="right", va="center")
        label(axes, f"{run['file_bits']:.2f} bits a weight of the file", (total, place), BLACK)
    axes.set(yticks=[], xlabel="megabytes of the file", xlim=(0, 76))
    axes.set_title("SmolLM2-135M; blue: what the budget covers; orange: the rest, nearly all embedding")
    return figure


if __name__ == "__main__":
    main()
