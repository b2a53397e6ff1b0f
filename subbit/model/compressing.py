"""Compressing: source → plan → codec → writer, one tensor at a time."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, ExitStack, contextmanager, nullcontext
from os import PathLike, fspath
from pathlib import Path
from typing import Any

import numpy as np

from subbit.errors import SubbitError, UsageError
from subbit.model.asked import asked, planned
from subbit.model.inputs import Inputs, described
from subbit.model.job import Importance, Job, Progress
from subbit.model.journal import Journal
from subbit.model.parent import Checkpoint, Parent
from subbit.model.report import Report
from subbit.model.statistics import Statistics
from subbit.model.tensor import PARENT_KEY
from subbit.model.workers import Crew, Materials
from subbit.planning import Plan
from subbit.signs import declared
from subbit_formats.dtypes import dtype_name
from subbit_formats.sbit import ShardedWriter, Writer
from subbit_formats.sources import Source, SourceTensor, open_source

__all__ = ["Importance", "Job", "Progress", "compress", "plan"]

_OWN_METADATA = (declared.METADATA_KEY, PARENT_KEY)
"""What was true of the checkpoint's source, and is not of the file that is written."""


def compress(
    checkpoint: Checkpoint,
    output: str | PathLike[str] | None = None,
    *,
    bits: float = 0.8,
    file_bits: float | None = None,
    plan: Plan | None = None,
    keep: Sequence[str] = (),
    cover: Sequence[str] = (),
    embeddings: int | None = None,
    signs: str = "auto",
    profile: str = "size",
    importance: Importance | Callable[[], Importance] | None = None,
    base: Checkpoint | None = None,
    allow_nonfinite: bool = False,
    shard_bytes: int | None = None,
    force: bool = False,
    resume: bool = False,
    progress: Progress | None = None,
    driver: Callable[[Job], None] | None = None,
    workers: int | str | None = None,
) -> Report:
    """Write a checkpoint as a `.sbit` file of at most `bits` bits per covered weight, and report what it cost.

    `checkpoint` is a file (safetensors, GGUF, torch), a folder, a sharded index or {name: array}; `output` defaults to
    the checkpoint's name with `.sbit`. `file_bits`, in place of `bits`, is a budget for every byte of the file over
    every weight: embeddings and heads are then coded like all other matrices, unless `embeddings` says how they are
    kept (8 bits in groups with `bits`). `profile` "size" takes whatever errs least for its bits, rates that vary and
    entropy codes, decoded once at load; "speed" codes of one rate, which can be multiplied as they are stored. With
    `plan` the budget and its options are the plan's. `importance` says what errors cost: by tensor, as
    :class:`Statistics` of this checkpoint, or a function that measures them once all else is in order.

    `base` is the parent checkpoint, the initialization or the model that this one was fine-tuned from: it may be any of
    those or a `.sbit` file, is not stored, and reading the output needs it again. The report's errors are measured on
    the decoded weights. `driver` may add tensors to the :class:`Job` before the others, in its own order. Memory stays
    near the largest tensor. Raises :class:`SubbitError` naming the file and the tensor; nothing half-written stays
    behind.

    With `resume` finished tensors are kept in `OUTPUT.partial` until the output is there. After a kill, an interrupt or
    a full disk the same call takes the plan and the finished tensors from it, and writes the bytes that an undisturbed
    one would; kind "resume" where weights, options, statistics or the version of subbit are not those of before, or
    for a `driver` and measured importance, which know nothing of it. What is interrupted while planning plans again.

    With `workers`, a number of processes or the address of a dask scheduler, these plan and encode the tensors, each
    in memory near the largest one; a killed one's tensors are done again. The bytes are the same. `resume` is implied,
    as tensors wait there for their turn. Checkpoint, parent and statistics must be paths, for a cluster on a file
    system that all its machines see under the same paths. Scripts need the usual `if __name__ == "__main__":`.
    """
    resume = resume or workers is not None
    if resume and (driver is not None or callable(importance)):
        text = "what is calibrated as it goes cannot be taken up again"
        raise UsageError(text, kind="resume", hint="resume=False, or statistics that are measured before")
    with ExitStack() as stack:
        source, parent = stack.enter_context(_opened(checkpoint)), stack.enter_context(_opened_parent(base))
        target = _output(source, output)
        metadata = _metadata(source, parent)
        if file_bits is not None and shard_bytes is not None:
            text = "a budget for the whole file knows nothing of shards"
            raise UsageError(text, kind="budget", hint="--bits (bits=) with --shard-size, or one file")
        crew = stack.enter_context(nullcontext() if workers is None else Crew(workers))
        journal = stack.enter_context(Journal(target)) if resume else None
        with _writer(target, metadata, shard_bytes, force) as writer:  # first: it refuses an output that cannot be
            budget = None
            if plan is None:
                budget = asked(source, bits, file_bits, keep, cover, embeddings, signs, profile)
            costs = _costs(importance, source)
            if crew is not None:
                assert journal is not None
                crew.begin(Materials.of(checkpoint, base, costs, source), journal.inputs)
            if journal is not None:
                wanted = budget if plan is None else plan.to_json()
                journal.begin(described(source, (wanted, allow_nonfinite), costs, parent))
                source, parent = journal.inputs.watched(source), journal.inputs.watched_parent(parent)
                plan = plan or journal.plan
                if progress is not None and plan is not None:
                    progress("resume", journal.finished, len(source), "")
            if plan is None:
                assert budget is not None
                plan = planned(source, budget, costs, parent, metadata, allow_nonfinite, progress, crew)
                if journal is not None:
                    journal.keep_plan(plan)
            job = Job(source, plan, writer, costs, parent, allow_nonfinite, progress, journal)
            if driver is not None:
                driver(job)
            if crew is not None:
                job.share(crew)
            job.finish()
    return job.report()


def plan(
    checkpoint: Checkpoint,
    *,
    bits: float = 0.8,
    file_bits: float | None = None,
    keep: Sequence[str] = (),
    cover: Sequence[str] = (),
    embeddings: int | None = None,
    signs: str = "auto",
    profile: str = "size",
    importance: Importance | None = None,
    base: Checkpoint | None = None,
    allow_nonfinite: bool = False,
    progress: Progress | None = None,
    workers: int | str | None = None,
) -> Plan:
    """Choose codec and rate for every tensor without writing anything; see :func:`compress` for the options.

    The plan can be printed, edited (`plan.using("layers.0.*", subbit.DeadZone(2.0))`, or its JSON) and passed back.
    """
    with (
        _opened(checkpoint) as source,
        _opened_parent(base) as parent,
        nullcontext() if workers is None else Crew(workers) as crew,
    ):
        budget = asked(source, bits, file_bits, keep, cover, embeddings, signs, profile)
        costs = _costs(importance, source)
        metadata = _metadata(source, parent)
        if crew is not None:
            crew.begin(Materials.of(checkpoint, base, costs, source), Inputs())
        return planned(source, budget, costs, parent, metadata, allow_nonfinite, progress, crew)


def _metadata(source: Source, parent: Parent | None) -> dict[str, str]:
    found = {key: value for key, value in source.metadata.items() if key not in _OWN_METADATA}
    return found if parent is None or parent.name is None else found | {PARENT_KEY: parent.name}


def _costs(importance: Importance | Callable[[], Importance] | None, source: Source) -> Importance | None:
    """What errors cost, measured now if it has to be; statistics of another model are refused."""
    found = importance() if callable(importance) else importance
    if isinstance(found, Statistics):
        found.check(source)
    return found


def _writer(path: Path, metadata: Mapping[str, str], shard_bytes: int | None, force: bool) -> Any:
    if shard_bytes is None:
        return Writer(path, metadata, force=force)
    return ShardedWriter(path, shard_bytes, metadata, force=force)


def _output(source: Source, output: str | PathLike[str] | None) -> Path:
    if output is not None:
        return Path(output)
    if source.kind == "arrays":
        raise UsageError("arrays have no name to derive the output's from", kind="output", hint="pass output=")
    path = source.path
    if path.name in ("", ".."):  # such as ".", whose name only its absolute path tells
        path = Path(os.path.abspath(path))  # noqa: PTH100 - links stay links
    name = path.name
    for suffix in (".index.json", ".safetensors", ".gguf", ".pth", ".pt", ".bin"):
        name = name.removesuffix(suffix)
    return path.with_name((name or "model") + ".sbit")


def _opened_parent(base: Checkpoint | None) -> AbstractContextManager[Parent | None]:
    return nullcontext() if base is None else Parent(base)


@contextmanager
def _opened(checkpoint: Checkpoint) -> Iterator[Source]:
    if isinstance(checkpoint, Mapping):
        tensors = [_from_array(name, array) for name, array in checkpoint.items()]
        yield Source(Path("arrays"), "arrays", tensors)
        return
    with open_source(fspath(checkpoint)) as source:
        yield source


def _from_array(name: str, array: Any) -> SourceTensor:
    values = np.asarray(array)
    try:
        dtype = dtype_name(values.dtype)
    except SubbitError as error:
        raise error.at(tensor=name) from None
    return SourceTensor(name, values.shape, dtype, lambda: np.ascontiguousarray(values).reshape(values.shape))
