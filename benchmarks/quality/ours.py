"""subbit's side: one call that makes the `.sbit` file of a job."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import subbit
from subbit import Plan, Uniform
from subbit.curvature import Curvature
from subbit.planning import Rule

if TYPE_CHECKING:
    from benchmarks.quality.jobs import Job
    from benchmarks.quality.models import Model

__all__ = ["CALIBRATED", "CALIBRATES", "DATA_FREE", "RUNGS", "TOKENS", "UNIFORM", "compress"]

DATA_FREE, CALIBRATED, UNIFORM = "subbit, no data", "subbit", "rounding to 2 bits"

CALIBRATES: tuple[str, ...] = ("smollm2",)
"""Models that `compress` can calibrate."""

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
    if job.method == CALIBRATED and text is not None:
        _calibrated(job, model, output, text, budget)
    else:
        subbit.compress(model.checkpoint, output, force=True, **budget)


def _calibrated(job: Job, model: Model, output: Path, text: str, budget: Mapping[str, float]) -> None:
    from subbit.torch import calibrate_checkpoint, compress_calibrated

    switches = dict(RUNGS.get(job.without, {}))
    if not switches.pop("feedback", True):
        found = calibrate_checkpoint(model.checkpoint, text, tokens=TOKENS)
        alone: dict[str, Any] = {n: Curvature(found[n].diagonal, found[n].rows) for n in found}
        subbit.compress(model.checkpoint, output, importance=alone, force=True, **budget)
        return
    compress_calibrated(
        model.checkpoint, output, text=text, tokens=TOKENS, heal_minutes=job.heal, force=True, **switches, **budget
    )
