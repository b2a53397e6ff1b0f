"""The report on the wall as a picture."""

from __future__ import annotations

from collections.abc import Mapping
from os import PathLike
from typing import Any

from subbit.analysis.pyplot import saved_figure

__all__ = ["plot_wall"]


def plot_wall(report: Mapping[str, Any], path: str | PathLike[str]) -> None:
    """Draw what `measure_wall` returned: entropies, rate–distortion curves, rank errors and, if known, the drift.

    Raises :class:`UsageError` without matplotlib.
    """
    tensors = report["tensors"]
    with saved_figure(path, panels=4) as (entropies, rates, ranks, drift):
        entropies.plot([t["entropy"] for t in tensors], ".", label="signs")
        entropies.axhline(1, color="gray", linestyle="--", label="random")
        entropies.set(xlabel="matrix", ylabel="entropy rate Ĥ, bits a sign", ylim=(0, 1.05))
        entropies.legend()

        for tensor in tensors:
            rates.plot([p[0] for p in tensor["rate_distortion"]], [p[1] for p in tensor["rate_distortion"]], alpha=0.3)
        points = tensors[0]["rate_distortion"]
        rates.plot([p[0] for p in points], [p[2] for p in points], "k--", label="random")
        rates.set(xlabel="share of wrong signs δ", ylabel="least rate [Ĥ − h₂(δ)]₊, bits a sign")
        rates.legend()

        shares = [point["share"] for point in tensors[0]["ranks"]]
        for kind, style in (("signs", "C0"), ("magnitudes", "C1"), ("random", "k--")):
            means = [sum(t["ranks"][k][kind] for t in tensors) / len(tensors) for k in range(len(shares))]
            ranks.plot(shares, means, style, label=kind)
        ranks.set(xlabel="r / min(m, n)", ylabel="relative squared error, mean", ylim=(0, 1))
        ranks.legend()

        if report["init"] is None:
            drift.hist([t["ks"]["p"] for t in tensors], bins=20, range=(0, 1))
            drift.set(xlabel="p-value, singular values against random signs", ylabel="matrices")
        else:
            known = [t["drift"]["flips"] if t["drift"] else None for t in tensors]
            drift.plot([i for i, p in enumerate(known) if p is not None], [p for p in known if p is not None], ".")
            drift.axhline(0.5, color="gray", linestyle="--", label="unrelated")
            drift.set(xlabel="matrix", ylabel="flips against the initialization", ylim=(0, 0.55))
            drift.legend()
