"""Compressing models larger than a machine, computed from costs that were measured on one: who waits for what.

A worker is one process with one core of the machine that was measured. Each tensor is read and looked at, then read and
encoded, largest first, by whoever is free; the coordinator takes results, keeps them and writes the file. Nothing is
lost on the way: no worker dies, the network carries what is stated.
"""

from __future__ import annotations

import heapq
import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import NamedTuple

__all__ = ["MODELS", "WORKERS", "Costs", "Outcome", "simulate"]

WORKERS = (1, 16, 256)
INPUT_BYTES = 2
"""A weight of the input, bfloat16."""


def _dense(layers: int, width: int, inner: int, keys: int, vocabulary: int) -> dict[tuple[int, int], int]:
    """Matrices of a Llama: shapes and how often."""
    shapes = {(width, width): 2, (keys, width): 2, (inner, width): 2, (width, inner): 1}
    if keys == width:
        shapes = {(width, width): 4, (inner, width): 2, (width, inner): 1}
    return {shape: count * layers for shape, count in shapes.items()} | {(vocabulary, width): 2}


MODELS: dict[str, dict[tuple[int, int], int]] = {
    "7 B (Llama 2)": _dense(32, 4096, 11008, 4096, 32000),
    "70 B (Llama 2)": _dense(80, 8192, 28672, 1024, 32000),
    "405 B (Llama 3.1)": _dense(126, 16384, 53248, 1024, 128256),
    "1 T (61 layers of 384 experts)": {(2048, 7168): 61 * 384 * 2, (7168, 2048): 61 * 384, (163840, 7168): 2},
}
"""Matrices by shape; those with more rows than 25,000 and no inner layer's are embeddings and heads."""
_EMBEDDINGS = {(32000, 4096), (32000, 8192), (128256, 16384), (163840, 7168)}


class Outcome(NamedTuple):
    """Seconds in all, bytes of memory a worker, and what sets the time."""

    seconds: float
    memory: float
    limit: str


@dataclass(frozen=True)
class Costs:
    """What was measured (seconds a weight, a task, a byte; bytes a weight and at rest) and what is assumed."""

    look: float
    encode: float
    embedding: float  # encoding in 8-bit groups
    task: float  # handing one out
    tensor: float  # keeping and writing one, whatever its size
    stored: float  # keeping and writing a byte
    resident: float  # memory of a worker before its first tensor
    weight: float  # memory a weight of the tensor at hand
    bits: float = 0.8
    read_worker: float = 1e9  # bytes a second that a worker can read
    read_all: float = 5e9  # that the shared file system can give all of them
    sent: float = 1e9  # that the coordinator can receive


def simulate(shapes: Mapping[tuple[int, int], int], workers: int, costs: Costs) -> Outcome:
    """Two passes over the tensors, planning and encoding."""
    tensors = [(rows * cols, (rows, cols) in _EMBEDDINGS) for (rows, cols), n in shapes.items() for _ in range(n)]
    tensors.sort(reverse=True)
    read = min(costs.read_worker, costs.read_all / workers)
    coded = sum(size * (8.0 if kept else costs.bits) / 8 for size, kept in tensors)
    handing = len(tensors) * costs.task
    writing = handing + len(tensors) * costs.tensor + coded * (costs.stored + 1 / costs.sent)
    seconds, waits = 0.0, dict.fromkeys(("encoding", "the largest tensor", "reading", "the coordinator"), 0.0)
    for work, kept_work, coordinator in ((costs.look, 0.0, handing), (costs.encode, costs.embedding, writing)):
        times = [(size * (kept_work if kept else work), size * INPUT_BYTES / read) for size, kept in tensors]
        seconds += max(_makespan([a + b for a, b in times], workers), coordinator)
        bounds = (
            sum(a for a, _ in times) / workers, max(a + b for a, b in times), sum(b for _, b in times) / workers,
            coordinator,
        )  # fmt: skip
        for name, bound in zip(waits, bounds, strict=True):
            waits[name] += bound
    memory = costs.resident + costs.weight * tensors[0][0]
    return Outcome(seconds, memory, max(waits, key=lambda name: waits[name]))


def _makespan(times: list[float], workers: int) -> float:
    """When the last is done, if whoever is free takes the next one that was begun."""
    free = [0.0] * workers
    for time in sorted(times, reverse=True):
        heapq.heapreplace(free, free[0] + time)
    return math.fsum([max(free)])
