"""What a worker opens: checkpoint, parent and statistics by their paths, once a compression."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import lru_cache
from threading import Lock
from typing import Any
from uuid import uuid4

from subbit.errors import SubbitError, UsageError
from subbit.model.inputs import Inputs, described_checkpoint, made_by
from subbit.model.parent import Checkpoint, Parent
from subbit.model.statistics import Statistics
from subbit_formats.sources import Source, open_source

__all__ = ["Materials", "Opened", "forget", "opened"]


@dataclass(frozen=True)
class Materials:
    """Absolute paths, and what a worker must find: the versions that decide bytes, and the checkpoint's description.

    `job` is another for every compression: files that were replaced since the last one are opened again.
    """

    checkpoint: str
    base: str | None
    statistics: str | None
    described: str
    made_by: str = field(default_factory=made_by)
    job: str = field(default_factory=lambda: uuid4().hex)

    @classmethod
    def of(cls, checkpoint: Checkpoint, base: Checkpoint | None, importance: object, source: Source) -> Materials:
        """What other processes can open; a :class:`UsageError` for what is in the memory of this one only."""
        statistics = importance.path if isinstance(importance, Statistics) else None
        for what, given in {"arrays": checkpoint, "a parent of arrays": base}.items():
            if isinstance(given, Mapping):
                raise _not_shared(what)
        if importance is not None and statistics is None:
            raise _not_shared("importance")
        parent, costs = (None if path is None else _absolute(path) for path in (base, statistics))
        return cls(_absolute(checkpoint), parent, costs, described_checkpoint(source))


@dataclass(frozen=True)
class Opened:
    """The same, open; what is read of weights is remembered by `inputs`."""

    source: Source
    parent: Parent | None
    importance: Statistics | None
    inputs: Inputs


_opening = Lock()


def opened(materials: Materials) -> Opened:
    """Open what is not open yet; threads share it.

    Raises :class:`SubbitError`, kind "cluster" where versions or the checkpoint are others here.
    """
    with _opening:
        return _open(materials)


def forget() -> None:
    """Let go of all files."""
    with _opening:
        _open.cache_clear()


@lru_cache(maxsize=2)
def _open(materials: Materials) -> Opened:
    if made_by() != materials.made_by:
        text = f"subbit {made_by()} on a worker, {materials.made_by} here"
        raise SubbitError(text, kind="cluster", hint="install the same versions everywhere")
    source = open_source(materials.checkpoint)
    if described_checkpoint(source) != materials.described:
        hint = "all machines need the same files under the same path"
        raise SubbitError("a worker sees another checkpoint", kind="cluster", path=materials.checkpoint, hint=hint)
    inputs = Inputs()
    parent = None if materials.base is None else Parent(materials.base)
    importance = None if materials.statistics is None else Statistics.load(materials.statistics)
    return Opened(inputs.watched(source), inputs.watched_parent(parent), importance, inputs)


def _absolute(path: Any) -> str:
    found: str = os.path.abspath(path)  # noqa: PTH100 - links stay links
    return found


def _not_shared(what: str) -> UsageError:
    text = f"{what} in the memory of this process cannot be handed out to workers"
    return UsageError(text, kind="workers", hint="save them and pass the path, or workers=None")
