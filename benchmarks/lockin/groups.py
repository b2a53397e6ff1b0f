"""Which runs each figure needs. A group says what it wants; runs that groups share are made once."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from itertools import product
from typing import Any

from benchmarks.lockin.jobs import Job, Setting, Task, Wall
from benchmarks.lockin.wall import SHIPPED

__all__ = [
    "BUDGETS", "FORCES", "GAPS", "GROUPS", "RANKS", "RATES", "VARIANTS", "barrier", "excursions", "fades", "project",
    "widths",
]  # fmt: skip

Options = dict[str, Any]
Group = Callable[[Sequence[Setting], Sequence[int]], Iterator[Task | Wall]]

BUDGETS = (0.25, 0.5, 0.75, 1.0, 2.0)
RATES = (1e-3, 2e-3, 4e-3, 8e-3)
_WIDTH_RATE = 4e-3


def project(template: str, **options: Any) -> Options:
    return {"template": template, "keep": "project", **options}


def barrier(template: str, gap: float = 0.5, force: float = 2.0, **options: Any) -> Options:
    return {"template": template, "keep": "barrier", "gap": gap, "force": force, **options}


VARIANTS: dict[str, Options] = {
    "dense": {},
    "hashed-project": project("hashed"),
    "hashed-barrier": barrier("hashed"),
    "hadamard-project": project("hadamard"),
    "lowrank16-project": project("lowrank:16"),
    "angle-project": project("angle"),
    "angle-correction4": project("angle", correction=4),
}

RANKS: dict[str, Options] = {
    **{str(rank): project(f"lowrank:{rank}") for rank in (2, 4, 8, 16, 32)},
    "angle": project("angle"), "hadamard": project("hadamard"), "hashed": project("hashed"),
}  # fmt: skip

GAPS, FORCES = (0.25, 0.5, 1.0), (0.02, 0.2, 2.0)
"""Of the trade-off. The paper sweeps the bare λ, whose effect depends on the size of the model."""


def fades(steps: int) -> dict[str, Options]:
    """Ways to hold hashed signs; a barrier that fades holds for half of the steps and is gone for the last quarter."""
    fading = barrier("hashed", hold=steps // 2, fade=steps // 4)
    return {
        "projection": project("hashed"),
        "gap and projection": project("hashed", gap=0.5),
        "gap and barrier to the end": barrier("hashed"),
        "gap and barrier that fades": fading,
        "gap and barrier that fades, then projection": {**fading, "keep": "barrier, project"},
        "gap alone": {"template": "hashed", "keep": "free", "gap": 0.5},
    }


def excursions(short: Setting) -> dict[float, Job]:
    """The dense control by learning rate."""
    return {rate: short.job(0, learning_rate=rate) for rate in RATES}


def widths(short: Setting) -> dict[str, dict[str, Job]]:
    """The dense control for three fifths of the steps: {what is swept: {its value: job}}."""

    def job(**options: Any) -> Job:
        return short.job(0, **{"steps": max(2, short.steps * 3 // 5), "learning_rate": _WIDTH_RATE, **options})

    return {
        "width": {str(width): job(width=width) for width in (64, 128, 256)},
        "batch": {str(batch): job(batch=batch) for batch in (4, 8, 16)},
        "schedule": {schedule: job(schedule=schedule) for schedule in ("constant", "one-cycle")},
    }


def _of(*variants: str) -> Group:
    def group(settings: Sequence[Setting], seeds: Sequence[int]) -> Iterator[Task | Wall]:
        for seed, setting, variant in product(seeds, settings, variants):
            yield Task(setting.job(seed, **VARIANTS[variant]), BUDGETS)

    return group


def _ranks(settings: Sequence[Setting], seeds: Sequence[int]) -> Iterator[Task | Wall]:
    for seed, setting, options in product(seeds, settings, RANKS.values()):
        yield Task(setting.job(seed, **options))


def _fades(settings: Sequence[Setting], seeds: Sequence[int]) -> Iterator[Task | Wall]:
    for setting, seed in product(settings, seeds):
        yield from (Task(setting.job(seed, **options)) for options in fades(setting.steps).values())


def _traded(settings: Sequence[Setting], seeds: Sequence[int]) -> Iterator[Task | Wall]:
    """All gaps at the strongest force, all forces at the middle gap."""
    ways = [(gap, force) for gap, force in product(GAPS, FORCES) if gap == GAPS[1] or force == FORCES[-1]]
    for template, seed in product(("hashed", "angle"), seeds):
        options = [project(template), *(barrier(template, *way) for way in ways)]
        yield from (Task(settings[0].job(seed, **option)) for option in options)


def _excursions(settings: Sequence[Setting], seeds: Sequence[int]) -> Iterator[Task | Wall]:
    yield from map(Task, excursions(settings[0]).values())


def _widths(settings: Sequence[Setting], seeds: Sequence[int]) -> Iterator[Task | Wall]:
    for jobs in widths(settings[0]).values():
        yield from map(Task, jobs.values())


def _drift(settings: Sequence[Setting], seeds: Sequence[int]) -> Iterator[Task | Wall]:
    for setting in settings:
        yield Task(setting.job(0))


def _walls(settings: Sequence[Setting], seeds: Sequence[int]) -> Iterator[Task | Wall]:
    yield Wall("CharLM", settings[0].job(0))
    yield from map(Wall, SHIPPED)


GROUPS: dict[str, Group] = {
    "main": _of(*VARIANTS),
    "ranks": _ranks,
    "decay": _fades,
    "tradeoff": _traded,
    "excursions": _excursions,
    "widths": _widths,
    "drift": _drift,
    "bits": _of("dense", "hashed-project", "hashed-barrier"),
    "wall": _walls,
}
