"""One job: compress, count, load, evaluate."""

from __future__ import annotations

import time
from dataclasses import replace
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
from torch import nn

import subbit
from benchmarks.peers.base import UnavailableError
from benchmarks.quality import ours
from benchmarks.quality.jobs import SHIPPED, Job
from benchmarks.quality.models import OPEN, Model
from benchmarks.quality.peers import PEERS, Peer
from benchmarks.quality.texts import TEXTS, halves
from subbit.records import matrix_shape

__all__ = ["perform"]

opened = cache(lambda name: OPEN[name]())


def perform(job: Job) -> dict[str, Any]:
    """Bits, seconds and what the model's yardstick says; "unavailable" says why there is nothing to say."""
    try:
        return _measured(job, opened(job.model))
    except UnavailableError as reason:
        return {"unavailable": str(reason)}


def _measured(job: Job, model: Model) -> dict[str, Any]:
    if job.method == SHIPPED:
        module, bits, seconds = model.with_weights({}), model.shipped_bits, 0.0
        size = model.checkpoint.stat().st_size
    elif job.method in PEERS:
        module, bits, size, seconds = _peer(PEERS[job.method], model, job.text)
    else:
        module, bits, size, seconds = _ours(job, model)
    start = time.perf_counter()
    figures = model.figures(module)
    return {
        "coded_bits": bits,
        "file_bits": 8 * size / model.weights,
        "bytes": size,
        "compress_seconds": round(seconds, 1),
        "evaluate_seconds": round(time.perf_counter() - start, 1),
        "figures": figures,
    }


def _peer(peer: Peer, model: Model, text: str | None) -> tuple[nn.Module, float, int, float]:
    """The module, bits a covered weight, bytes of a whole file, seconds; the importance matrix is not timed."""
    importance = {} if text is None else _importance(model, text)
    start, size, rebuilt = time.perf_counter(), 0, {}
    for name in model.covered:
        weight = model.tensors[name].astype(np.float32)
        matrix = np.ascontiguousarray(weight.reshape(matrix_shape(weight.shape)))
        stored = peer.encode(matrix, importance.get(name))
        size += stored.size
        rebuilt[name] = stored.decode().reshape(weight.shape)
    seconds = time.perf_counter() - start
    return model.with_weights(rebuilt), 8 * size / model.covered_weights, size + model.rest_bytes, seconds


@cache
def _importance(model: Model, text: str) -> dict[str, np.ndarray]:
    return model.importance(text)


def _ours(job: Job, model: Model) -> tuple[nn.Module, float, int, float]:
    """The module, bits a covered weight, bytes of the file, seconds that compressing and healing took."""
    output, seconds = _compressed(replace(job, heal=0))
    if job.heal:
        healed, start = output.with_suffix(".healed.sbit"), time.perf_counter()
        ours.heal(job, model, output, healed, _text(job))
        output, seconds = healed, seconds + time.perf_counter() - start
    with subbit.open(output) as file:
        bits = file.coded_bits_per_weight
    return model.from_file(output), bits, output.stat().st_size, seconds


@cache
def _compressed(job: Job) -> tuple[Path, float]:
    """A file that stays until the process ends, so that it may be healed, and the seconds that it took."""
    output, start = Path(_folder().name) / f"{job.key.replace('/', ' ')}.sbit", time.perf_counter()
    ours.compress(job, opened(job.model), output, _text(job))
    return output, time.perf_counter() - start


@cache
def _folder() -> TemporaryDirectory[str]:
    return TemporaryDirectory()


def _text(job: Job) -> str | None:
    """The job's text, or the file that holds its half for calibration."""
    if job.text not in TEXTS:
        return job.text
    path = Path(_folder().name) / f"{job.text}.txt"
    path.write_text(halves(job.text)[0], "utf-8")
    return str(path)
