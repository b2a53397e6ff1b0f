"""One call from a checkpoint and a text to a file: calibrate, plan, compress in the model's own order, heal."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from os import PathLike
from pathlib import Path
from typing import Any

import torch

from subbit.errors import UsageError
from subbit.model import Report, compress, open_file, verify
from subbit.model.compressing import Job, Progress
from subbit.model.statistics import Statistics
from subbit.torch.calibration.checkpoint import SELF, batches_of, calibrate_checkpoint, token_windows
from subbit.torch.calibration.loading import open_weights, tokenizer_of
from subbit.torch.healing import HealReport, heal
from subbit.torch.healing.texts import FEWEST, text_batches
from subbit.torch.sequential import Sequential

__all__ = ["CalibratedReport", "compress_calibrated"]

_PLANNING_TOKENS = 4096
"""Enough to say where bits are worth most: the driver measures again on all tokens what codes follow."""
_HEALING_WINDOW = 512
_LONG_ENOUGH = 1 << 20  # bytes of text that healing surely can use


@dataclass(frozen=True)
class CalibratedReport(Report):
    """The file as it is in the end, what its statistics were measured on, and what healing brought, if it was healed.

    The errors of the tensors are of weights alone: what calibration and healing make small is the error of outputs.
    """

    provenance: Mapping[str, str]
    healing: HealReport | None = None

    def to_dict(self) -> dict[str, Any]:
        """Plain JSON values, version 1."""
        healed = {} if self.healing is None else {"healing": self.healing.to_dict()}
        return super().to_dict() | {"calibration": dict(self.provenance)} | healed


def compress_calibrated(
    checkpoint: str | PathLike[str],
    output: str | PathLike[str] | None = None,
    *,
    text: str | PathLike[str],
    tokens: int = 24576,
    window: int = 512,
    seed: int = 0,
    fisher: bool = True,
    sequential: bool = True,
    residual: bool = True,
    statistics: Statistics | None = None,
    heal_minutes: float = 0.0,
    progress: Progress | None = None,
    **choices: Any,
) -> CalibratedReport:
    """Write a checkpoint as a `.sbit` file whose codes follow what a text says about the model, and report on it.

    Windows of the text go through the model (:func:`calibrate_checkpoint` explains `tokens`, `window`, `seed` and
    `fisher`; `text` may be "self"), unless `statistics` of it are at hand. Bits are spent where errors cost most,
    and with `sequential` every block is compressed against the outputs that it had on the same windows before anything
    was (:class:`Sequential`, with its `residual`). Then `heal_minutes` of :func:`heal`, on all of the text.

    `choices` are those of :func:`subbit.compress`, such as `bits` or `file_bits`; healing may add a little to either,
    for norms and scales that are tuned. Memory: that of calibration, beside two sets of hidden states; healing needs
    the model twice. Raises :class:`SubbitError` naming file and tensor, first of all for an output that exists.
    Nothing half-written stays behind; when healing fails or is stopped, the output is the file before it.
    """
    if heal_minutes and (choices.get("base") is not None or choices.get("shard_bytes") is not None):
        hint = "compress without a parent and into one file, or do without heal_minutes"
        raise UsageError("healing takes one file that stands for itself", kind="heal", hint=hint)
    source = _Calibration(
        checkpoint, text, tokens, window, seed, fisher, sequential, statistics, heal_minutes > 0, progress
    )
    driver = (lambda job: source.drive(job, residual)) if sequential else None
    report = compress(checkpoint, output, importance=source.measure, driver=driver, progress=progress, **choices)
    found = CalibratedReport(**vars(report), provenance=source.measure().provenance)
    if not heal_minutes:
        return found
    healing = source.heal(report.path, heal_minutes)
    return _healed(found, checkpoint, healing)


@dataclass
class _Calibration:
    """The windows of one text, made once, and the statistics measured on them."""

    checkpoint: str | PathLike[str]
    text: str | PathLike[str]
    tokens: int
    window: int
    seed: int
    fisher: bool
    sequential: bool
    statistics: Statistics | None
    heals: bool
    progress: Progress | None
    ids: torch.Tensor | None = None

    def measure(self) -> Statistics:
        """The statistics; the text is checked for all that comes after, too."""
        if self.ids is None:
            self.ids = token_windows(self.checkpoint, self.text, tokens=self.tokens, window=self.window, seed=self.seed)
            if self.heals:
                self._check_healing()
        if self.statistics is None:
            some = self.ids[:: -(-self.ids.numel() // _PLANNING_TOKENS)] if self.sequential else self.ids
            self.statistics = calibrate_checkpoint(
                self.checkpoint, self.text, fisher=self.fisher, seed=self.seed, ids=some, progress=self.progress
            )
        return self.statistics

    def drive(self, job: Job, residual: bool) -> None:
        """Add the tensors of the model's blocks to a job, in their order."""
        Sequential(batches_of(self._windows()), self.measure(), residual=residual)(job)

    def heal(self, path: Path, minutes: float) -> HealReport:
        """Tune the file towards the checkpoint, in its place."""

        def report(used: float, figures: str) -> None:
            if self.progress is not None:
                self.progress("heal", int(1000 * used), 1000, figures)

        data = list(torch.split(self._windows(), 1)) if self.text == SELF else self.text
        return heal(
            path, self.checkpoint, data, output=path, minutes=minutes, seed=self.seed, force=True, progress=report
        )

    def _windows(self) -> torch.Tensor:
        self.measure()
        assert self.ids is not None
        return self.ids

    def _check_healing(self) -> None:
        """Raise for a text that calibrates but is too short to heal on: now, not after the work."""
        if self.text == SELF:
            if len(self._windows()) < FEWEST:
                hint = f"--tokens {FEWEST * self.window} or more"
                raise UsageError(f"healing needs at least {FEWEST} windows", kind="text", hint=hint)
        elif Path(self.text).stat().st_size < _LONG_ENOUGH:
            with open_weights(self.checkpoint) as source:
                text_batches(self.text, tokenizer_of(source), _HEALING_WINDOW)


def _healed(report: CalibratedReport, checkpoint: str | PathLike[str], healing: HealReport) -> CalibratedReport:
    """The figures of the file after healing."""
    errors = verify(report.path, checkpoint).errors
    with open_file(report.path) as file:
        archive = file.archive
        rows = tuple(
            replace(row, bytes=archive.tensors[row.name].stored_bytes, error=errors.get(row.name, row.error))
            for row in report.tensors
        )
        return replace(
            report, file_bytes=archive.size, file_weights=archive.weights, coded_bytes=archive.covered_bytes,
            coded_weights=archive.covered_weights, tensors=rows, healing=healing,
        )  # fmt: skip
