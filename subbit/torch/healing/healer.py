"""`heal`: tune what a compressed model can still change without new codes, until it follows its teacher better."""

from __future__ import annotations

import copy
import math
import os
import time
from collections.abc import Callable, Iterable, Mapping
from os import PathLike
from pathlib import Path
from typing import Any, cast

import torch
import xxhash
from torch import nn

from subbit.errors import SubbitError, UsageError
from subbit.model import File, open_file
from subbit.torch.calibration.loading import load_pretrained
from subbit.torch.calibration.texts import file_hash
from subbit.torch.healing.adam import FlatAdam
from subbit.torch.healing.objectives import Loss, objective_for
from subbit.torch.healing.report import HealReport, Size
from subbit.torch.healing.state import Checkpoint
from subbit.torch.healing.storing import write_healed
from subbit.torch.healing.students import Student
from subbit.torch.healing.texts import FEWEST, text_batches
from subbit.torch.healing.tuning import Budget, Tuner
from subbit.torch.modules import attach
from subbit.torch.precision import fast_dtype
from subbit_formats.sbit.atomic import refuse_existing

__all__ = ["heal"]

_HELD_OUT = 8  # one batch of so many
_MOST_HELD_OUT = 16
_WINDOW = 512
_CUDA_WINDOWS = 8
_FINISH = 0.04  # of the time is for the last measurement and the file


def heal(
    path: str | PathLike[str],
    teacher: nn.Module | str | PathLike[str],
    data: Iterable[Any] | str | PathLike[str],
    *,
    student: nn.Module | None = None,
    output: str | PathLike[str] | None = None,
    minutes: float = 20.0,
    steps: int | None = None,
    rank: int = 0,
    loss: Loss | None = None,
    rate: float = 0.002,
    seed: int = 0,
    threads: int | None = None,
    force: bool = False,
    progress: Callable[[float, str], None] | None = None,
) -> HealReport:
    """Tune gains of rows and columns, norms and biases of a `.sbit` file towards its original, and write the result.

    Codes stay as they are. Every coded matrix gets a gain for each row and column, which its codec stores in its own
    scales (see `codecs.base.takes_gains`), and with `rank` a correction A Bᵀ of that rank, stored as NAME.correction in
    8 bits and counted. All 1-D parameters move, too. The best state on held-out batches is what is written; the report
    is measured on the file.

    `teacher` and `data` are a checkpoint with config.json and tokenizer and a UTF-8 text: then windows of 512 tokens go
    through both models. Or a module and batches (tensors, tuples or dicts; iterated once), for any architecture:
    `student` is then a module for the file's weights, by default a copy of the teacher; it ends with the healed
    weights. One batch in eight is held out. `loss(output, teacher's output)` replaces the default: KL of logits for
    language models, else the relative squared error of the last hidden state or of the output.

    Tuning takes `minutes`, or exactly `steps` steps, of which the same number of threads repeats the same ones. What a
    killed run has reached stands in `OUTPUT.healing`, and the same call goes on from there. Raises :class:`SubbitError`
    for a teacher that does not match, a text or data that is too short, an existing output (unless `force`), and an
    unfinished run with other options ("resume").
    """
    _check(minutes, steps, rank, rate, threads)
    target = _output(Path(path), output)
    refuse_existing(target, force=force)
    started = time.monotonic()
    with open_file(path) as file:
        teacher, student, batches = _ready(file, teacher, student, data)
        train, held = _split(batches)
        device = next(teacher.parameters()).device
        dtype = fast_dtype(device) if hasattr(teacher, "config") else None
        workers = threads or (1 if device.type == "cuda" else _cores())
        with Student(student, file, rank, dtype) as parts:
            objective = objective_for(student, teacher, held[0], loss, dtype)
            budget = Budget(steps, max(60 * minutes * (1 - _FINISH) - (time.monotonic() - started), 1.0))
            options = (minutes, steps, rank, rate, seed, workers, dtype, len(train), len(held))
            tuner = Tuner(objective, FlatAdam(*parts.parameters()), train, held, budget, rate, seed, workers)
            state = Checkpoint(target, _fingerprint(path, teacher, train[0], options), tuner)
            state.restore()
            tuner.run(state.save, progress)
            write_healed(file, parts, target, force=force)
        size = _size(file)
    attach(student, target)
    after = tuner.evaluate()
    state.remove()
    with open_file(target) as healed:
        done, seconds = tuner.state, time.monotonic() - started
        sizes = size, _size(healed)
        assert done.before is not None
        return HealReport(target, done.before, after, *sizes, done.step, done.best_step, seconds, tuner.stopped)


def _check(minutes: float, steps: int | None, rank: int, rate: float, threads: int | None) -> None:
    """Raise :class:`UsageError` for a budget, a rank or a rate that means nothing."""
    if not 0 < minutes < math.inf:
        raise UsageError(f"{minutes} minutes are no time to tune in", kind="minutes", hint="such as 20")
    if steps is not None and steps < 1:
        raise UsageError(f"{steps} steps are nothing to do", kind="steps", hint="such as 400")
    if rank < 0:
        raise UsageError(f"a correction has no rank {rank}", kind="rank", hint="0 for none, such as 4")
    if not 0 < rate < math.inf:
        raise UsageError(f"{rate} is no learning rate", kind="rate", hint="such as 0.01")
    if threads is not None and threads < 1:
        raise UsageError(f"{threads} threads", kind="threads", hint="such as 2")


def _output(path: Path, output: str | PathLike[str] | None) -> Path:
    name = path.name.removesuffix(".index.json").removesuffix(".sbit")
    return path.with_name(name + ".healed.sbit") if output is None else Path(output)


def _ready(
    file: File, teacher: nn.Module | str | PathLike[str], student: nn.Module | None, data: Any
) -> tuple[nn.Module, nn.Module, list[Any]]:
    """Both models in eval mode, the student with the file's weights, and all batches on their device."""
    tokenizer = None
    if not isinstance(teacher, nn.Module):
        loaded, tokenizer = load_pretrained(teacher)
        teacher = cast(nn.Module, loaded.to("cuda" if torch.cuda.is_available() else "cpu"))
    teacher.eval()
    student = copy.deepcopy(teacher) if student is None else student.eval()
    try:
        attach(student, file.archive.path)
    except SubbitError as error:
        if error.kind in ("names", "shape", "dtype", "tied"):
            error = SubbitError(f"the teacher does not match: {error.message}", kind="teacher", tensor=error.tensor)
            raise error.at(path=file.archive.path) from None
        raise
    device = next(teacher.parameters()).device
    if isinstance(data, str | PathLike):
        data = _text(data, tokenizer, teacher, device)
    return teacher, student, [_on(batch, device) for batch in data]


def _text(path: str | PathLike[str], tokenizer: Any, teacher: Any, device: torch.device) -> list[torch.Tensor]:
    if tokenizer is None:
        hint = "pass the checkpoint's path as teacher, or batches as data"
        raise UsageError("a text needs the teacher's tokenizer", kind="tokenizer", hint=hint)
    longest = getattr(teacher.config.get_text_config(), "max_position_embeddings", None) or _WINDOW
    return text_batches(path, tokenizer, min(_WINDOW, longest), _CUDA_WINDOWS if device.type == "cuda" else 1)


def _split(batches: list[Any]) -> tuple[list[Any], list[Any]]:
    """One batch in eight, at most 16 of them evenly spread, to measure on; the others to learn from."""
    if len(batches) < FEWEST:
        text = f"{len(batches)} batches are too few to learn from some and measure on others"
        raise SubbitError(text, kind="data", hint=f"at least {FEWEST}; an iterator serves once")
    count = min(_MOST_HELD_OUT, max(FEWEST // 2, len(batches) // _HELD_OUT))
    held = {(2 * k + 1) * len(batches) // (2 * count) for k in range(count)}
    return [b for k, b in enumerate(batches) if k not in held], [batches[k] for k in sorted(held)]


def _on(batch: Any, device: torch.device) -> Any:
    if isinstance(batch, Mapping):
        return {name: _on(value, device) for name, value in batch.items()}
    if isinstance(batch, tuple | list):
        return tuple(_on(value, device) for value in batch)
    return batch.to(device) if isinstance(batch, torch.Tensor) else batch


def _cores() -> int:
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def _size(file: File) -> Size:
    return Size(file.archive.size, file.coded_bits_per_weight, file.bits_per_weight)


def _fingerprint(path: str | PathLike[str], teacher: nn.Module, batch: Any, options: tuple[Any, ...]) -> str:
    """What makes two runs the same: the file, the teacher's size, the data's beginning, the options."""
    weights = sum(parameter.numel() for parameter in teacher.parameters())
    text = repr((file_hash(path), type(teacher).__name__, weights, options, _start(batch)))
    return xxhash.xxh3_128_hexdigest(text.encode())


def _start(batch: Any) -> list[float]:
    """A few numbers of a batch."""
    if isinstance(batch, torch.Tensor):
        return [float(x) for x in batch.flatten()[:64]]
    values = batch.values() if isinstance(batch, Mapping) else batch if isinstance(batch, tuple) else ()
    return [x for value in values for x in _start(value)]
