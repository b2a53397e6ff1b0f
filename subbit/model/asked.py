"""What was asked of a compression, and the plan that comes of it."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from functools import partial
from typing import NamedTuple

from subbit import planning
from subbit.errors import SubbitError
from subbit.model.fixed import fixed_bits
from subbit.model.job import Importance, Progress
from subbit.model.parent import Parent
from subbit.model.workers import Crew, worth_a_task
from subbit.planning import Coverage, Find, Look, Measured, Plan, Rule
from subbit.signs import declared
from subbit_formats.sources import Source

__all__ = ["Asked", "asked", "planned"]


class Asked(NamedTuple):
    """Bits a weight, of the covered tensors or of the whole file, which tensors are covered, and how they are coded."""

    bits: float
    whole: bool
    coverage: Coverage
    signs: str
    profile: str


def planned(
    source: Source,
    budget: Asked,
    importance: Importance | None,
    parent: Parent | None,
    metadata: Mapping[str, str],
    allow_nonfinite: bool,
    progress: Progress | None,
    crew: Crew | None,
) -> Plan:
    """The plan, made here or by workers; every :class:`SubbitError` names the checkpoint."""
    text = source.metadata.get(declared.METADATA_KEY)
    try:
        planes = declared.parse(text) if text else {}
        weights = [math.prod(tensor.shape) for tensor in source.values()]

        def report(index: int, name: str) -> None:
            if progress is not None:
                progress("plan", sum(weights[:index]), sum(weights), name)

        find = None if parent is None else parent.find
        fixed = partial(fixed_bits, source, metadata, parent) if budget.whole else None
        elsewhere = None if crew is None else partial(_by_workers, crew, source, importance, find, progress)
        return planning.make_plan(
            source, budget.bits, budget.coverage, budget.signs, planes, importance, allow_nonfinite, report, find,
            fixed, budget.profile, elsewhere,
        )  # fmt: skip
    except SubbitError as error:
        raise error.at(path=source.path) from None


def _by_workers(
    crew: Crew,
    source: Source,
    importance: Importance | None,
    find: Find | None,
    progress: Progress | None,
    look: Look,
) -> list[Rule | Measured]:
    """Large tensors are looked at by workers, the others here."""
    sizes = {name: math.prod(tensor.shape) for name, tensor in source.items()}
    done, large = 0, [name for name, tensor in source.items() if worth_a_task(tensor)]
    found = {name: look(name, source, importance, find) for name in source.keys() - large}
    for name, seen in crew.look(look, source, large):
        found[name] = seen
        if progress is not None:
            done += sizes[name]
            progress("plan", done, sum(sizes.values()), name)
    return [found[name] for name in source]


def asked(
    source: Source,
    bits: float,
    file_bits: float | None,
    keep: Sequence[str],
    cover: Sequence[str],
    embeddings: int | None,
    signs: str,
    profile: str,
) -> Asked:
    """What was asked for, refused where it makes no sense: before the work that comes between it and a plan."""
    whole = file_bits is not None
    rate = bits if file_bits is None else file_bits
    planning.check_bits(rate)
    planning.check_patterns(source, (*keep, *cover))
    planning.check_choices(signs, profile)
    if embeddings is None:
        coverage = Coverage(tuple(keep), (*cover, "*") if whole else tuple(cover))
    else:
        coverage = Coverage(tuple(keep), tuple(cover), embeddings)
    return Asked(rate, whole, coverage, signs, profile)
