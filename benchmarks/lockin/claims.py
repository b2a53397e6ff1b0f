"""What the paper says of signs, beside what was measured here; every figure comes from the stored runs."""

from __future__ import annotations

import math
import statistics
from collections.abc import Callable, Sequence
from itertools import pairwise

from benchmarks.lockin.averages import Run, against, perplexity, share, spread, stored, values
from benchmarks.lockin.groups import VARIANTS, barrier, excursions, project, widths
from benchmarks.lockin.jobs import Setting
from benchmarks.lockin.store import Results
from subbit.analysis.tails import fit_tail

__all__ = ["claims"]

Settings = Sequence[Setting]

_QUARTER, _HALF_BIT = 0.25, 0.5


def claims(results: Results, settings: Settings) -> str:
    """A row a claim for which there are runs."""
    lines = ["| the paper, on other models and data | measured here | figure |", "|---|---|---|"]
    for claim, measured, plot in _CLAIMS:
        if text := measured(results, settings):
            lines.append(f"| {claim} | {text} | [{plot}](../../benchmarks/results/lockin/{plot}.png) |")
    return "\n".join(lines) if len(lines) > 2 else ""


def _entropy(results: Results, settings: Settings) -> str:
    return _each_wall(results, lambda found: f"{found['entropy']:.3f}")


def _ranks(results: Results, settings: Settings) -> str:
    def errors(found: Run) -> str:
        at = next(point for point in found["ranks"] if point["share"] == _QUARTER)
        return f"{at['signs']:.2f} / {at['magnitudes']:.2f} / {at['random']:.2f}"

    return _each_wall(results, errors)


def _rejected(results: Results, settings: Settings) -> str:
    return _each_wall(results, lambda found: f"{found['ks_rejected']} of {found['matrices']}")


def _each_wall(results: Results, text: Callable[[Run], str]) -> str:
    return ", ".join(f"{wall.model} {text(found)}" for wall, found in results.walls.items() if "matrices" in found)


def _drift(results: Results, settings: Settings) -> str:
    parts = []
    for setting in settings:
        if found := values(results, setting.job(0), "flips_by_matrix"):
            means = {kind: statistics.mean(flips[kind] for flips in found) for kind in found[0]}
            text = ", ".join(f"{kind} {mean:.2f}" for kind, mean in means.items())
            parts.append(f"{setting.steps:,} steps: {text}")
    return "; ".join(parts)


def _tails(results: Results, settings: Settings) -> str:
    parts = []
    for rate, job in excursions(settings[0]).items():
        if job in results.runs:
            counts = results.runs[job]["excursions"][0]["k"]
            reached = [sum(counts[k:]) / sum(counts) for k in (1, 2, 3)]
            ratios = [f" × {after / before:.2g}" for before, after in pairwise(reached) if before]
            parts.append(f"lr {rate:g}: {reached[0]:.2g}{''.join(ratios)}")
    return "; ".join(parts)


def _sweeps(results: Results, settings: Settings) -> str:
    parts = []
    for swept, jobs in widths(settings[0]).items():
        found = {name: results.runs[job]["excursions"] for name, job in jobs.items() if job in results.runs}
        tails = [f"{name}: {_tail(excursions[0]['k'])}" for name, excursions in found.items()]
        parts += [f"{swept} {', '.join(tails)}"] if tails else []
        if swept == "batch" and found:
            last = list(found.values())[-1]
            parts.append("ρ " + ", ".join(f"{part['rho']:g}: {_tail(part['k'])}" for part in last))
    return "; ".join(parts)


def _tail(counts: Sequence[int]) -> str:
    tail = fit_tail(counts)
    return f"{tail.h:.2g} / {'–' if math.isnan(tail.g) else format(tail.g, '.2g')}"


def _trade(results: Results, settings: Settings) -> str:
    """The dense control's flips, then those of both templates at three forces, with what each costs."""
    short, parts = settings[0], []
    if flips := values(results, dense := short.job(0), "flips"):
        parts.append(f"dense {share(flips)}")
        for template in ("angle", "hashed"):
            ways = {f"force {force:g}": barrier(template, force=force) for force in (0.02, 0.2, 2.0)}
            for name, options in {**ways, "projection": project(template)}.items():
                if flips := values(results, job := short.job(0, **options), "flips"):
                    cost = spread(against(results, job, dense, perplexity), "+", 2)
                    parts.append(f"{template}, {name}: {share(flips)} at {cost}")
    return "; ".join(parts)


def _bits(results: Results, settings: Settings) -> str:
    last, parts = settings[-1], []
    for variant in ("dense", "hashed-project", "hashed-barrier"):
        job = last.job(0, **VARIANTS[variant])
        if parts_read := stored(results, job, _HALF_BIT):
            before = spread([perplexity(run) for run in results.seeds(job)], digits=2)
            parts.append(f"{variant} {before}, then {spread([perplexity(part) for part in parts_read], digits=2)}")
    return "; ".join(parts)


_CLAIMS: tuple[tuple[str, Callable[[Results, Settings], str], str], ...] = (
    ("trained signs cannot be predicted: entropy rate Ĥ ≈ 1 bit", _entropy, "wall"),
    ("a low rank holds the magnitudes but not the signs (‖X − X_r‖² / ‖X‖² of signs / magnitudes / random signs at "
     "r = ¼ of the full rank)", _ranks, "wall"),
    ("singular values like those of random signs, with exceptions (matrices where a KS test rejects that at 5 %)",
     _rejected, "wall"),
    ("few signs flip from initialization to the end, far fewer than ½ (dense control)", _drift, "drift"),
    ("excursions that return with the other sign have a geometric tail: P[K_eff ≥ 1], and the ratio to each next k, "
     "should be the same (ρ = ½ rms)", _tails, "tails"),
    ("ĥ / ĝ of these tails fall with larger margin, decaying steps, larger batch and width (ρ = ½ rms)", _sweeps,
     "widths"),
    ("gap and barrier: flips from 10⁻¹ to 10⁻³ for about + 1 perplexity, template of rank 2 (flips, and perplexity a "
     "character against dense; gap ½ σ)", _trade, "tradeoff"),
    ("usable down to .5–.7 bits a target weight (perplexity a character, then from ≤ .5 bits without tuning)", _bits,
     "bits"),
)  # fmt: skip
