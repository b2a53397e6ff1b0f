"""The runs of `benchmarks.vision` as Markdown."""

from __future__ import annotations

import math
import statistics
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

from benchmarks.lockin.averages import share, spread

__all__ = ["tables"]

Run = Mapping[str, Any]


def tables(runs: Sequence[Run]) -> str:
    """For every network what the dense control was tuned to, and a row for every variant at that."""
    return "\n\n".join(_of([run for run in runs if run["network"] == name]) for name in _distinct(runs, "network"))


def _of(runs: Sequence[Run]) -> str:
    """The runs of one network; the tuned rate and decay are those that most of them have."""
    rate, decay = Counter(_knobs(run) for run in runs).most_common(1)[0][0]
    own = [run for run in runs if _knobs(run) == (rate, decay)]
    dense = {(run["seed"], run["fold"]): run for run in own if run["variant"] == "dense"}
    lines = [
        f"{runs[0]['network'].upper()}, learning rate {rate:g} and weight decay {decay:g}, the best for the dense "
        "control:",
        "",
        "| variant | runs | accuracy, % | against dense, points | standard error | flips "
        "| at half a bit: bits a hidden weight | bits of the file | accuracy, % |",
        "|---|---:|---:|---:|---:|---:|---:|---:|---:|",
    ]
    for variant in _distinct(own, "variant"):
        lines.append(_row(variant, [run for run in own if run["variant"] == variant], dense))
    return "\n".join(lines)


def _row(variant: str, runs: Sequence[Run], dense: Mapping[tuple[int, int], Run]) -> str:
    pairs = [(run, dense[run["seed"], run["fold"]]) for run in runs if (run["seed"], run["fold"]) in dense]
    against, error = "", ""
    if pairs and variant != "dense":
        own, other = (_by_seed(list(side)) for side in zip(*pairs, strict=True))
        against, error = _points([own[seed] - other[seed] for seed in own], "+"), f"{_standard_error(pairs):.2f}"
    kept = [run["stored"] for run in runs]
    bits, file_bits = (statistics.mean(part[key] for part in kept) for key in ("bits", "file_bits"))
    again = {seed: [run["stored"]["accuracy"] for run in runs if run["seed"] == seed] for seed in _by_seed(runs)}
    cells = [
        variant, str(len(runs)), _points(list(_by_seed(runs).values())), against, error,
        share([run["flips"] for run in runs]), f"{bits:.3f}", f"{file_bits:.3f}",
        _points([100 * statistics.mean(folds) for folds in again.values()]),
    ]  # fmt: skip
    return "| " + " | ".join(cells) + " |"


def _by_seed(runs: Sequence[Run]) -> dict[int, float]:
    """Accuracy in percent over all the folds of a seed."""
    found = {}
    for seed in _distinct(runs, "seed"):
        own = [run for run in runs if run["seed"] == seed]
        found[seed] = 100 - 100 * sum(len(run["wrong"]) for run in own) / sum(run["tested"] for run in own)
    return found


def _standard_error(pairs: Sequence[tuple[Run, Run]]) -> float:
    """Of the mean difference in points, from how much each picture's own difference, over all seeds, varies."""
    differences: Counter[int] = Counter()
    for run, dense in pairs:
        differences.update(dense["wrong"])
        differences.subtract(run["wrong"])
    pictures = sum({run["fold"]: run["tested"] for run, _ in pairs}.values())
    mean = sum(differences.values()) / pictures
    variance = sum(value**2 for value in differences.values()) / pictures - mean**2
    return 100 * math.sqrt(variance / pictures) / len({run["seed"] for run, _ in pairs})


def _distinct(runs: Sequence[Run], key: str) -> list[Any]:
    return list(dict.fromkeys(run[key] for run in runs))


def _knobs(run: Run) -> tuple[float, float]:
    return run["learning_rate"], run["weight_decay"]


def _points(values: Sequence[float], sign: str = "") -> str:
    return spread(values, sign, digits=2)
