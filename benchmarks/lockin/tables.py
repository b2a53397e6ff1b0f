"""The stored runs as Markdown: variants and ranks at every length, barriers that fade, and the paper's claims."""

from __future__ import annotations

from collections.abc import Sequence

from benchmarks.lockin.averages import against, mean_and_std, share, spread, stored, tests, values
from benchmarks.lockin.claims import claims
from benchmarks.lockin.groups import RANKS, VARIANTS, fades
from benchmarks.lockin.jobs import Job, Setting
from benchmarks.lockin.store import Results
from benchmarks.lockin.tuning import candidates

__all__ = ["tables"]

_SHOWN = (0.25, 0.5, 1.0, 2.0)


def tables(results: Results, settings: Sequence[Setting]) -> str:
    """All tables for which there are runs; test is in nats a character, differences are taken seed by seed."""
    parts = [_variants(results, settings[: number + 1]) for number in range(len(settings))]
    parts.append(_ranks(results, settings))
    parts += [*(_fades(results, setting) for setting in settings), claims(results, settings)]
    return "\n\n".join(part for part in parts if part)


def _variants(results: Results, settings: Sequence[Setting]) -> str:
    """A row a variant at the last length, also after compression without any tuning, at budgets that bound the bits."""
    setting, tried = settings[-1], candidates(results, [own.steps for own in settings])
    head = (
        f"{setting.steps:,} steps, learning rate {setting.learning_rate:g} and weight decay {setting.weight_decay:g}: "
        f"the best of {len(tried)} settings for the dense control on the validation part."
    )
    titles = ["variant", "seeds", "test, nats a character", "against dense", "flips"]
    lines = _header([*titles, *(f"test in ≤ {budget:g} bits" for budget in _SHOWN)])
    dense = setting.job(0)
    for variant, options in VARIANTS.items():
        job = setting.job(0, **options)
        if found := tests(results, job):
            cells = [variant, str(len(found)), spread(found), _against(results, job, dense)]
            cells.append(share(values(results, job, "flips")))
            cells += [_read_back(results, job, budget) for budget in _SHOWN]
            lines.append(_row(cells))
    return "\n".join([head, "", *lines])


def _ranks(results: Results, settings: Sequence[Setting]) -> str:
    """A row a template, with projection and no gap; two columns a length."""
    titles = [f"{kind}, {setting.steps:,} steps" for setting in settings for kind in ("test", "against dense")]
    lines = _header(["rank of the template, projection", *titles])
    for rank, options in {"dense": VARIANTS["dense"], **RANKS}.items():
        jobs = [(setting.job(0, **options), setting.job(0)) for setting in settings]
        if any(tests(results, job) for job, _ in jobs):
            cells = [[spread(tests(results, job)), _against(results, job, dense)] for job, dense in jobs]
            lines.append(_row([rank, *(cell for pair in cells for cell in pair)]))
    return "\n".join(lines) if len(lines) > 3 else ""


def _fades(results: Results, setting: Setting) -> str:
    """A row a way to hold hashed signs."""
    lines = _header([f"hashed signs, {setting.steps:,} steps", "seeds", "test", "against dense", "flips"])
    for name, options in {"dense": VARIANTS["dense"], **fades(setting.steps)}.items():
        job = setting.job(0, **options)
        if found := tests(results, job):
            flips = share(values(results, job, "flips"))
            lines.append(_row([name, str(len(found)), spread(found), _against(results, job, setting.job(0)), flips]))
    return "\n".join(lines) if len(lines) > 3 else ""


def _against(results: Results, job: Job, dense: Job) -> str:
    return "" if job == dense else spread(against(results, job, dense), "+")


def _read_back(results: Results, job: Job, budget: float) -> str:
    found = stored(results, job, budget)
    return f"{mean_and_std([part['test'] for part in found])[0]:.3f}" if found else "–"


def _header(titles: Sequence[str]) -> list[str]:
    return [_row(titles), "|---|" + "---:|" * (len(titles) - 1)]


def _row(cells: Sequence[str]) -> str:
    return "| " + " | ".join(cells) + " |"
