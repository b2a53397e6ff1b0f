"""What there is to do: a job is one way of compressing one model, evaluated on everything that the model has."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from benchmarks.quality import ours
from benchmarks.quality.peers import PEERS
from benchmarks.quality.texts import TEXTS

__all__ = ["LADDER", "MODELS", "SELF", "SHIPPED", "Job", "all_jobs"]

SHIPPED, SELF = "shipped", "self"
MODELS = ("smollm2", "minilm", "efficientnet", "crepe")
LADDER = {"wikitext2": (0.25, 0.3, 0.5, 0.7, 1.0, 1.5, 2.0), "shakespeare": (0.5, 1.0)}
"""Coded bits a weight at which SmolLM2 is compressed, calibrated on either text."""
HEALED = (0.5, 0.7, 1.0, 1.5)
"""Of these, those that are healed as well."""

HEAL, HEAL_SMALL = 20.0, 2.0
"""Minutes of recovery, of SmolLM2 and of the others."""


@dataclass(frozen=True)
class Job:
    """One compression: `text` is what it was calibrated on, `without` the rung that was switched off, `heal` minutes.

    `bits` is the budget for `coded` weights or for the whole file, None where the method has no choice. The text SELF
    is one that the model writes.
    """

    model: str
    method: str
    bits: float | None = None
    text: str | None = None
    without: str = ""
    heal: float = 0
    whole_file: bool = False

    @property
    def key(self) -> str:
        """Its name in the results and on the command line."""
        bits = "" if self.bits is None else f"{self.bits:g}" + (" of the file" if self.whole_file else "")
        without = f"without {self.without}" if self.without else ""
        heal = f"healed {self.heal:g}" if self.heal else ""
        return "/".join(part for part in (self.model, self.method, bits, self.text, without, heal) if part)


def all_jobs() -> list[Job]:
    """Every job, the shipped models first."""
    return [Job(model, SHIPPED) for model in MODELS] + [job for model in MODELS for job in _of(model)]


def _of(model: str) -> Iterator[Job]:
    language = model == ours.LANGUAGE
    yield from (Job(model, ours.DATA_FREE, bits) for bits in ((1.0, 1.5, 2.0) if language else (0.5, 1.0)))
    yield from _calibrated(model)
    yield Job(model, ours.UNIFORM)
    for name, peer in PEERS.items():
        if model in peer.models:
            yield from (Job(model, name, text=text) for text in (TEXTS if peer.importance else (None,)))


def _calibrated(model: str) -> Iterator[Job]:
    if model != ours.LANGUAGE:
        for text in TEXTS if model == "minilm" else (None,):
            yield from (Job(model, ours.CALIBRATED, bits, text, heal=m) for bits in (0.5, 1.0) for m in (0, HEAL_SMALL))
        return
    yield from (Job(model, ours.CALIBRATED, bits, text) for text in TEXTS for bits in LADDER[text])
    yield from (Job(model, ours.CALIBRATED, 1.0, "wikitext2", rung) for rung in ours.RUNGS)
    yield Job(model, ours.CALIBRATED, 1.0, SELF)
    yield from (Job(model, ours.CALIBRATED, bits, "wikitext2", heal=HEAL) for bits in HEALED)
    yield Job(model, ours.CALIBRATED, 1.0, "wikitext2", heal=HEAL, whole_file=True)
