"""Compressing: source → plan → codec → writer, one tensor at a time."""

from __future__ import annotations

import math
import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from os import PathLike, fspath
from pathlib import Path
from typing import Any

import numpy as np

from subbit import planning
from subbit.codecs import Dense, Signed
from subbit.errors import SubbitError, UsageError
from subbit.model.report import Report, TensorReport
from subbit.planning import Coverage, Plan, Rule
from subbit.records import Encoded
from subbit.signs import Stored, declared
from subbit.tensors import decode, encode, is_finite, relative_error
from subbit_formats.dtypes import FLOATS, dtype_name
from subbit_formats.sbit import ShardedWriter, Writer, open_reader
from subbit_formats.sources import Source, SourceTensor, open_source

__all__ = ["Progress", "compress", "plan"]

Progress = Callable[[str, int, int, str], None]
"""Called with (what is being done, weights done, weights in all, the tensor's name)."""

Checkpoint = str | PathLike[str] | Mapping[str, np.ndarray]


def compress(
    checkpoint: Checkpoint,
    output: str | PathLike[str] | None = None,
    *,
    bits: float = 0.8,
    plan: Plan | None = None,
    keep: Sequence[str] = (),
    cover: Sequence[str] = (),
    embeddings: int = 8,
    signs: str = "auto",
    importance: Mapping[str, np.ndarray] | None = None,
    allow_nonfinite: bool = False,
    shard_bytes: int | None = None,
    force: bool = False,
    progress: Progress | None = None,
) -> Report:
    """Write a checkpoint as a `.sbit` file of at most `bits` bits per covered weight, and report what it cost.

    `checkpoint` is a file (safetensors, GGUF, torch), a folder, a sharded index or {name: array}; `output` defaults to
    the checkpoint's name with `.sbit`. With `plan` the budget and its options are the plan's. The report's errors are
    measured on the decoded weights. Memory stays near the largest tensor. Raises :class:`SubbitError` naming the file
    and the tensor; nothing half-written stays behind.
    """
    with _opened(checkpoint) as source:
        target = _output(source, output)
        coverage = Coverage(tuple(keep), tuple(cover), embeddings)
        metadata = {key: value for key, value in source.metadata.items() if key != declared.METADATA_KEY}
        rows: list[TensorReport] = []
        total, done = sum(_weights(t) for t in source.values()), 0
        with _writer(target, metadata, shard_bytes, force) as writer:  # first: it refuses an output that cannot be
            if plan is None:
                plan = _plan(source, bits, coverage, signs, importance, allow_nonfinite, progress)
            rules = {name: plan.rule_for(name) for name in source}
            for name, tensor in source.items():
                if progress is not None:
                    progress("compress", done, total, name)
                encoded, error = _encode(tensor, rules[name], importance, allow_nonfinite)
                covered = rules[name].covered and encoded.codec != Dense.id
                writer.add(
                    name, shape=encoded.shape, dtype=encoded.dtype, codec=encoded.codec, knobs=encoded.knobs,
                    sections=encoded.sections, covered=covered,
                )  # fmt: skip
                codec = rules[name].codec
                free = isinstance(codec, Signed) and not isinstance(codec.signs, Stored)
                rows.append(TensorReport(name, encoded.shape, encoded.codec, covered, 0, error, free))
                done += encoded.weights
            for name, other in source.aliases.items():
                writer.alias(name, other)
            for name, extra in source.extras.items():
                writer.extra(name, extra())
        if progress is not None:
            progress("compress", total, total, "")
    return _report(writer.path, rows)


def plan(
    checkpoint: Checkpoint,
    *,
    bits: float = 0.8,
    keep: Sequence[str] = (),
    cover: Sequence[str] = (),
    embeddings: int = 8,
    signs: str = "auto",
    importance: Mapping[str, np.ndarray] | None = None,
    allow_nonfinite: bool = False,
    progress: Progress | None = None,
) -> Plan:
    """Choose codec and rate for every tensor without writing anything; see :func:`compress` for the options.

    The plan can be printed, edited (`plan.using("layers.0.*", subbit.DeadZone(2.0))`, or its JSON) and passed back.
    """
    with _opened(checkpoint) as source:
        coverage = Coverage(tuple(keep), tuple(cover), embeddings)
        return _plan(source, bits, coverage, signs, importance, allow_nonfinite, progress)


def _plan(
    source: Source,
    bits: float,
    coverage: Coverage,
    signs: str,
    importance: Mapping[str, np.ndarray] | None,
    allow_nonfinite: bool,
    progress: Progress | None,
) -> Plan:
    text = source.metadata.get(declared.METADATA_KEY)
    try:
        planes = declared.parse(text) if text else {}
        weights = [_weights(tensor) for tensor in source.values()]

        def report(index: int, name: str) -> None:
            if progress is not None:
                progress("plan", sum(weights[:index]), sum(weights), name)

        return planning.make_plan(source, bits, coverage, signs, planes, importance, allow_nonfinite, report)
    except SubbitError as error:
        raise error.at(path=source.path) from None


def _encode(
    tensor: SourceTensor, rule: Rule, importance: Mapping[str, np.ndarray] | None, allow_nonfinite: bool
) -> tuple[Encoded, float]:
    try:
        weight = tensor.read()
        codec = rule.codec
        codable = dtype_name(weight.dtype) in FLOATS and weight.ndim >= 2 and weight.size > 0
        if not codable or (allow_nonfinite and not is_finite(weight)):
            codec = Dense()  # a pattern such as "*" also fits tensors that only `dense` can hold
        encoded = encode(weight, codec, None if importance is None else importance.get(tensor.name))
        error = 0.0 if isinstance(codec, Dense) else relative_error(weight, decode(encoded))
    except SubbitError as refused:
        raise refused.at(path=tensor.path, tensor=tensor.name) from None
    except MemoryError:
        raise SubbitError("does not fit into memory", kind="memory", path=tensor.path, tensor=tensor.name) from None
    return encoded, error


def _report(path: Path, rows: list[TensorReport]) -> Report:
    """The figures of the file as it stands on disk."""
    index = path if path.exists() else path.with_name(path.name + ".index.json")
    with open_reader(index) as file:
        sized = tuple(
            TensorReport(r.name, r.shape, r.codec, r.covered, file.tensors[r.name].stored_bytes, r.error, r.free_signs)
            for r in rows
        )
        return Report(index, file.size, file.weights, file.covered_bytes, file.covered_weights, sized)


def _writer(path: Path, metadata: Mapping[str, str], shard_bytes: int | None, force: bool) -> Any:
    if shard_bytes is None:
        return Writer(path, metadata, force=force)
    return ShardedWriter(path, shard_bytes, metadata, force=force)


def _weights(tensor: SourceTensor) -> int:
    return math.prod(tensor.shape)


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
