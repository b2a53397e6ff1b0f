"""What compressing did: a row a tensor, and totals that count every byte."""

from __future__ import annotations

import math
from dataclasses import dataclass
from pathlib import Path
from typing import Any

__all__ = ["BROKEN", "Report", "TensorReport"]

BROKEN = 0.05
"""Relative squared error above which ordinary models stop working: 4-bit checkpoints lie near .01."""
LOST = 0.6
"""The same of all coded weights where errors went where they cost least, or signs were trained: near .3 bits."""
_NAMED = 3


@dataclass(frozen=True)
class TensorReport:
    """One tensor: how it was coded, all bytes that it adds to the file, and ‖W − W'‖² / ‖W‖² as decoded.

    `weighed` says that it was known what errors cost, so that what is lost matters less than the plain error says.
    """

    name: str
    shape: tuple[int, ...]
    codec: str
    covered: bool
    bytes: int
    error: float
    free_signs: bool = False
    weighed: bool = False

    @property
    def weights(self) -> int:
        """How many numbers the tensor holds."""
        return math.prod(self.shape)

    @property
    def bits_per_weight(self) -> float:
        """Stored bits divided by weights."""
        return 8 * self.bytes / self.weights if self.weights else math.inf


@dataclass(frozen=True)
class Report:
    """The file that was written. `coded` is what the bit budget covers, `file` every byte over every weight."""

    path: Path
    file_bytes: int
    file_weights: int
    coded_bytes: int
    coded_weights: int
    tensors: tuple[TensorReport, ...]

    @property
    def bits_per_weight(self) -> float:
        """Every bit on disk divided by every weight."""
        return 8 * self.file_bytes / self.file_weights if self.file_weights else math.inf

    @property
    def coded_bits_per_weight(self) -> float:
        """Bits of the covered tensors, with all that decoding them needs, divided by their weights."""
        return 8 * self.coded_bytes / self.coded_weights if self.coded_weights else 0.0

    @property
    def warning(self) -> str | None:
        """One loud line where tensors lost so much that the model will not work, and what to do; else None."""
        coded = [t for t in self.tensors if t.covered]
        lost = [t for t in coded if not (t.free_signs or t.weighed) and t.error > BROKEN]
        worst = sorted(lost or coded, key=lambda t: -t.error)[:_NAMED]
        named = ", ".join(f"{t.name} {t.error:.0%}" for t in worst)
        if lost:
            return (
                f"{len(lost)} of {len(coded)} coded tensors lost more than {BROKEN:.0%} of their energy (worst: "
                f"{named}). Their signs are ordinary and no activation statistics were given: expect broken output. "
                "Ways out: calibrating on a text (--text FILE, and --heal MINUTES), more bits (--bits 4), lossless "
                "tensors (--keep PATTERN), training with template signs."
            )
        mean = sum(t.error * t.weights for t in coded) / max(sum(t.weights for t in coded), 1)
        if mean > LOST:
            return (
                f"The coded tensors lost {mean:.0%} of their energy (worst: {named}): expect broken output, away from "
                "the calibration text at least. Ways out: more bits (--bits), healing (--heal MINUTES), training with "
                "template signs."
            )
        return None

    def to_dict(self) -> dict[str, Any]:
        """Plain JSON values, version 1."""
        return {
            "version": 1,
            "file": _total(self.file_bytes, self.file_weights) | {"path": str(self.path)},
            "coded": _total(self.coded_bytes, self.coded_weights),
            "warning": self.warning,
            "tensors": [
                {
                    "name": t.name,
                    "shape": list(t.shape),
                    "codec": t.codec,
                    "covered": t.covered,
                    "weights": t.weights,
                    "bytes": t.bytes,
                    "bits_per_weight": _finite(t.bits_per_weight),
                    "error": _finite(t.error),
                }
                for t in self.tensors
            ],
        }

    def __str__(self) -> str:
        lines = [f"{'bits':>8} {'error':>8}  codec     tensor"]
        lines += [f"{t.bits_per_weight:8.4f} {t.error:8.5f}  {t.codec:<9} {t.name}" for t in self.tensors]
        lines.append(
            f"{self.coded_bits_per_weight:8.4f}  coded: {self.coded_bytes:,} bytes, {self.coded_weights:,} weights"
        )
        lines.append(f"{self.bits_per_weight:8.4f}  file:  {self.file_bytes:,} bytes, {self.file_weights:,} weights")
        return "\n".join([*lines, f"warning: {self.warning}"] if self.warning else lines)


def _total(size: int, weights: int) -> dict[str, Any]:
    return {"bytes": size, "weights": weights, "bits_per_weight": _finite(8 * size / weights if weights else math.inf)}


def _finite(value: float) -> float | None:
    return value if math.isfinite(value) else None
