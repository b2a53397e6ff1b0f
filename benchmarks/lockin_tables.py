"""The runs of `benchmarks.lockin` as Markdown."""

from __future__ import annotations

import statistics
from collections.abc import Mapping, Sequence
from typing import Any

from subbit.analysis.tails import fit_tail

__all__ = ["tables"]

Run = Mapping[str, Any]


def tables(runs: Sequence[Run]) -> str:
    """For every number of steps one table of the variants, then one of the dense control's excursions."""
    lengths = sorted({run["steps"] for run in runs})
    parts = [part for steps in lengths for part in _of([run for run in runs if run["steps"] == steps])]
    return "\n\n".join(parts)


def _of(runs: Sequence[Run]) -> tuple[str, str, str]:
    """The runs of one length: what they have in common, variants, excursions."""
    swept = [run for run in runs if run["variant"] == "dense" and run["seed"] == runs[0]["seed"]]
    rate = min(swept, key=lambda run: run["validation"])["learning_rate"]
    sweep = ", ".join(f"{run['learning_rate']:g}: {run['validation']:.3f}" for run in swept)
    head = (
        f"Character transformer, {runs[0]['steps']:,} steps at learning rate {rate:g}, the best for the dense control "
        f"(validation {sweep}):"
    )
    return head, _variants([run for run in runs if run["learning_rate"] == rate]), _excursions(swept)


def _variants(runs: Sequence[Run]) -> str:
    """A row a variant; differences to the dense run are taken seed by seed."""
    dense = {run["seed"]: run["test"] for run in runs if run["variant"] == "dense"}
    lines = [
        "| variant | seeds | test, nats a character | against dense | flips | at half a bit: bits a block weight "
        "| bits of the file | test |",
        "|---|---:|---:|---:|---:|---:|---:|---:|",
    ]
    for variant in dict.fromkeys(run["variant"] for run in runs):
        own = [run for run in runs if run["variant"] == variant]
        against = [run["test"] - dense[run["seed"]] for run in own if run["seed"] in dense]
        stored = [run["stored"] for run in own]
        bits, file_bits = (statistics.mean(part[key] for part in stored) for key in ("bits", "file_bits"))
        cells = [
            variant, str(len(own)), _spread([run["test"] for run in own]),
            "" if variant == "dense" else _spread(against, "+"), _share([run["flips"] for run in own]),
            f"{bits:.3f}", f"{file_bits:.3f}", _spread([part["test"] for part in stored]),
        ]  # fmt: skip
        lines.append("| " + " | ".join(cells) + " |")
    return "\n".join(lines)


def _excursions(swept: Sequence[Run]) -> str:
    """A row a learning rate and ρ: the fit P[K_eff ≥ k] ≈ ĥ · ĝ^(k−1) and what was counted."""
    lines = [
        "| dense, learning rate | ρ / rms | ĥ (95 %) | ĝ (95 %) | share with K_eff ≥ 1, 2, 3, 4 |",
        "|---:|---:|---:|---:|---:|",
    ]
    for run in swept:
        for found in run["excursions"]:
            tail, counts = fit_tail(found["k"]), found["k"]
            shares = ", ".join(f"{sum(counts[k:]) / sum(counts):.2g}" for k in (1, 2, 3, 4))
            pairs = ((tail.h, tail.h_interval), (tail.g, tail.g_interval))
            fits = [f"{value:.2g} ({low:.2g}–{high:.2g})" for value, (low, high) in pairs]
            lines.append(f"| {run['learning_rate']:g} | {found['rho']:g} | " + " | ".join([*fits, shares]) + " |")
    return "\n".join(lines)


def _spread(values: Sequence[float], sign: str = "") -> str:
    """Mean and, of two or more, standard deviation (n − 1)."""
    if not values:
        return ""
    mean = f"{statistics.mean(values):{sign}.3f}"
    return f"{mean} ± {statistics.stdev(values):.3f}" if len(values) > 1 else mean


def _share(values: Sequence[float]) -> str:
    """The mean of shares; a plain 0 only if every one of them is."""
    mean = statistics.mean(values)
    return f"{mean:.1e}" if 0 < mean < 0.01 else f"{mean:.3g}"
