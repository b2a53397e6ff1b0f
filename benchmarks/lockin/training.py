"""One training run of the character model, and what is measured of it."""

from __future__ import annotations

import time
from collections.abc import Sequence
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, NamedTuple

import torch
from safetensors.torch import save_file

import subbit
from benchmarks.charlm import CharLM, Text, batches, nats, text
from benchmarks.lockin.jobs import Job, Task
from subbit.torch import lockin

__all__ = ["RHOS", "Trained", "measure", "optimizer_of", "schedule_of", "train"]

RHOS = (0.5, 0.75, 1.0)
"""Outer thresholds in root mean squares; the margin ρ − ε is what the paper's bound depends on."""

_POINTS = 25


class Trained(NamedTuple):
    """A model after training, with what followed it."""

    model: CharLM
    lock: lockin.LockIn | None
    tracker: lockin.FlipTracker | None
    drift: list[tuple[int, dict[str, float]]]


def measure(task: Task) -> dict[str, Any]:
    """Train and measure; weights and batches depend on the seed alone, not on the template."""
    start, parts = time.process_time(), text()
    trained = train(task.job, parts)
    found: dict[str, Any] = {
        "validation": nats(trained.model, parts.validation),
        "test": nats(trained.model, parts.test),
        **_signs(trained),
    }
    if task.budgets:
        found["stored"] = _stored(trained, task.job, task.budgets, parts)
    return found | {"seconds": round(time.process_time() - start, 1)}


def train(job: Job, parts: Text) -> Trained:
    """Run the job; the dense control is followed by a tracker, the others are held by a lock."""
    torch.manual_seed(job.seed)
    model = CharLM(job.width, job.spread)
    lock = _attached(model, job)
    tracker = lockin.FlipTracker(model, rhos=RHOS, step=job.learning_rate) if lock is None else None
    optimizer = optimizer_of(model, job)
    schedule = schedule_of(optimizer, job)
    drift = []
    for step, windows in enumerate(batches(parts.train, job.seed, job.steps, job.batch), 1):
        loss = model.loss(windows)
        (loss if lock is None else loss + lock.penalty()).backward()
        optimizer.step()
        if lock is not None:
            lock.step()
            if job.keep == "barrier, project" and step == job.hold + job.fade:
                lock.keep = "project"
        if tracker is not None:
            tracker.update()
            if step % max(1, job.steps // _POINTS) == 0 or step == job.steps:
                drift.append((step, _by_matrix(tracker)))
        optimizer.zero_grad()
        schedule.step()
    return Trained(model, lock, tracker, drift)


def _attached(model: CharLM, job: Job) -> lockin.LockIn | None:
    if job.template is None:
        return None
    barrier = lockin.Barrier(job.force, job.hold, job.fade) if job.force else lockin.Barrier()
    keep = job.keep.partition(",")[0]
    return lockin.attach(
        model, job.template, job.seed, gap=job.gap, keep=keep, barrier=barrier, correction_rank=job.correction
    )


def optimizer_of(model: CharLM, job: Job) -> torch.optim.Optimizer:
    """AdamW; weight decay on matrices only."""
    groups = [
        {"params": [p for p in model.parameters() if p.ndim >= 2], "weight_decay": job.weight_decay},
        {"params": [p for p in model.parameters() if p.ndim < 2], "weight_decay": 0.0},
    ]
    return torch.optim.AdamW(groups, job.learning_rate, fused=True)


def schedule_of(optimizer: torch.optim.Optimizer, job: Job) -> torch.optim.lr_scheduler.LRScheduler:
    if job.schedule == "constant":
        return torch.optim.lr_scheduler.ConstantLR(optimizer, factor=1.0)
    return torch.optim.lr_scheduler.OneCycleLR(
        optimizer, job.learning_rate, job.steps, pct_start=0.1, cycle_momentum=False
    )


def _signs(trained: Trained) -> dict[str, Any]:
    """The share of signs that differ from the initial ones; without a template also all that the tracker counted."""
    if trained.lock is not None:
        return {"flips": trained.lock.flips().total}
    assert trained.tracker is not None
    record = trained.tracker.record()
    flips = {"flips": record["init_flips"] / record["weights"], "flips_by_matrix": _by_matrix(trained.tracker)}
    return flips | {"drift": trained.drift, "excursions": record["excursions"]}


def _by_matrix(tracker: lockin.FlipTracker) -> dict[str, float]:
    """The share of signs that differ from the initial ones in each kind of matrix: qkv, out, up, down."""
    counts: dict[str, tuple[int, int]] = {}
    for name, found in tracker.record()["layers"].items():
        kind = name.split(".")[-2]
        flips, weights = counts.get(kind, (0, 0))
        counts[kind] = flips + found["init_flips"], weights + found["weights"]
    return {kind: flips / weights for kind, (flips, weights) in counts.items()}


def _stored(trained: Trained, job: Job, budgets: Sequence[float], parts: Text) -> list[dict[str, Any]]:
    """Through a file at every budget, and the test again; a budget that the planner refuses is left out.

    Bits are those of a block weight: the factors of a correction are paid, and are no weights.
    """
    again, found = CharLM(job.width), []
    weights, numbers = _matrices(again), _matrices(trained.model)
    with TemporaryDirectory() as folder:
        path = Path(folder) / "model.safetensors"
        if trained.lock is None:
            save_file(trained.model.state_dict(), path)
        else:
            trained.lock.save(path)
        for budget in budgets:
            try:
                report = subbit.compress(path, bits=budget * weights / numbers, force=True)
            except subbit.SubbitError as error:
                if error.kind != "budget":
                    raise
                continue
            tensors = {name: torch.from_numpy(array) for name, array in subbit.load(report.path).items()}
            again.load_state_dict(lockin.fold(tensors))
            size = 8 * report.path.stat().st_size / sum(weight.numel() for weight in again.parameters())
            bits = {"budget": budget, "bits": 8 * report.coded_bytes / weights, "file_bits": size}
            found.append({**bits, "test": nats(again, parts.test)})
    return found


def _matrices(model: CharLM) -> int:
    """Numbers in the matrices of the blocks, factors of corrections included."""
    return sum(weight.numel() for weight in model.blocks.parameters() if weight.ndim > 1)
