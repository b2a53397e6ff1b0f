"""subbit's side: one call that makes the `.sbit` file of a job."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import subbit
import subbit.torch
from subbit import Plan, Uniform
from subbit.curvature import Curvature
from subbit.planning import Rule
from subbit.torch import calibrate, calibrate_checkpoint, compress_calibrated

if TYPE_CHECKING:
    from benchmarks.quality.jobs import Job
    from benchmarks.quality.models import Model

__all__ = ["CALIBRATED", "DATA_FREE", "LANGUAGE", "RUNGS", "TOKENS", "UNIFORM", "compress", "heal"]

LANGUAGE = "smollm2"
"""The model that reads a text as it stands; the others have batches."""

DATA_FREE, CALIBRATED, UNIFORM = "subbit, no data", "subbit", "rounding to 2 bits"

TOKENS = 24576

RUNGS: dict[str, dict[str, bool]] = {
    "Fisher": {"fisher": False},
    "residual stream": {"residual": False},
    "sequential targets": {"sequential": False},
    "feedback and sequential targets": {"sequential": False, "feedback": False},
}
"""Rungs that can be switched off alone, each with the arguments that do so."""


def compress(job: Job, model: Model, output: Path, text: str | None) -> None:
    """Compress to `output`; `text` names a file with the half of the job's text that is for calibration, or is "self".

    Models that read no text have `model.batches`.
    """
    if job.method == UNIFORM:
        plan = Plan((Rule("*embed*weight", Uniform(width=8), covered=False), Rule("*", Uniform(width=2))))
        subbit.compress(model.checkpoint, output, plan=plan, force=True)
        return
    assert job.bits is not None
    budget = {"file_bits" if job.whole_file else "bits": job.bits}
    if job.method == CALIBRATED and job.model == LANGUAGE:
        assert text is not None
        _calibrated(job, model, output, text, budget)
    elif job.method == CALIBRATED:
        measured = calibrate(model.with_weights({}), model.batches(job.text))
        subbit.compress(model.checkpoint, output, importance=measured, force=True, **budget)
    else:
        subbit.compress(model.checkpoint, output, force=True, **budget)


def heal(job: Job, model: Model, path: Path, output: Path, text: str | None) -> None:
    """Tune a compressed file for the job's minutes, on what it was calibrated on."""
    if job.model == LANGUAGE:
        assert text is not None
        teacher, data = model.checkpoint, text
    else:
        teacher, data = model.with_weights({}), model.batches(job.text)
    subbit.torch.heal(path, teacher, data, output=output, minutes=job.heal, force=True)


def _calibrated(job: Job, model: Model, output: Path, text: str, budget: Mapping[str, float]) -> None:
    switches = dict(RUNGS.get(job.without, {}))
    if not switches.pop("feedback", True):
        found = calibrate_checkpoint(model.checkpoint, text, tokens=TOKENS)
        alone: dict[str, Any] = {n: Curvature(found[n].diagonal, found[n].rows) for n in found}
        subbit.compress(model.checkpoint, output, importance=alone, force=True, **budget)
        return
    compress_calibrated(model.checkpoint, output, text=text, tokens=TOKENS, force=True, **switches, **budget)
