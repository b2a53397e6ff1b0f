"""The runs of `benchmarks.coded` as Markdown."""

from __future__ import annotations

import statistics
from collections.abc import Mapping, Sequence
from typing import Any

from benchmarks.lockin.averages import spread

__all__ = ["tables"]

Run = Mapping[str, Any]
ORDINARY = "ordinary signs"


def tables(runs: Sequence[Run]) -> str:
    """A table for every length of the tuning: a row for each kind of signs and number of bits."""
    return "\n\n".join(
        _table([run for run in runs if run["steps"] == steps], steps)
        for steps in sorted({run["steps"] for run in runs})
    )


def _table(runs: Sequence[Run], steps: int) -> str:
    """Differences are taken seed by seed: to the dense control, and to ordinary signs at the same bits."""
    tests = {(run["seed"], run["signs"], run["asked"]): run["test"] for run in runs}
    lines = [
        f"{runs[0]['trained']:,} steps of training, then {steps:,} of tuning; test in nats a character:",
        "",
        "| signs | bits a block weight | bits of the file | before tuning | test | against dense | against ordinary |",
        "|---|---:|---:|---:|---:|---:|---:|",
    ]
    for signs, asked in dict.fromkeys((run["signs"], run["asked"]) for run in runs):
        own = [run for run in runs if (run["signs"], run["asked"]) == (signs, asked)]
        against = [
            [run["test"] - tests[key] for run in own if (key := (run["seed"], ORDINARY, bits)) in tests]
            for bits in (None, asked)
        ]
        cells = [
            signs, *(f"{statistics.mean(run[k] for run in own):.3f}" if asked else "–" for k in ("bits", "file_bits")),
            spread([run["before"] for run in own]), spread([run["test"] for run in own]),
            "" if (signs, asked) == (ORDINARY, None) else spread(against[0], "+"),
            "" if signs == ORDINARY else spread(against[1], "+"),
        ]  # fmt: skip
        lines.append("| " + " | ".join(cells) + " |")
    return "\n".join(lines)
