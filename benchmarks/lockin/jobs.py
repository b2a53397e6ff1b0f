"""What is to be measured: plain values, so that groups share runs and a stored run is found again."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

__all__ = ["Job", "Setting", "Task", "Wall"]


@dataclass(frozen=True)
class Job:
    """One training run: everything that decides its outcome, and nothing else.

    Without a `template` it is the dense control. `keep` is what `lockin.attach` knows, or "barrier, project": a
    barrier until it has faded, projection from then on.
    """

    seed: int
    steps: int
    learning_rate: float
    weight_decay: float
    batch: int = 8
    width: int = 128
    spread: float = 0.5
    schedule: str = "one-cycle"
    template: str | None = None
    keep: str = "free"
    gap: float = 0.0
    force: float = 0.0
    hold: int = 0
    fade: int = 0
    correction: int = 0

    @property
    def label(self) -> str:
        """Short, for progress."""
        if self.template is None:
            return f"dense width {self.width} batch {self.batch} {self.schedule}"
        parts = {"gap": self.gap, "force": self.force, "fade": self.fade, "correction": self.correction}
        return " ".join([self.template, self.keep, *(f"{name} {value:g}" for name, value in parts.items() if value)])


@dataclass(frozen=True)
class Task:
    """A run, and the budgets in bits a block weight at which its trained weights are stored and read again."""

    job: Job
    budgets: tuple[float, ...] = ()


@dataclass(frozen=True)
class Wall:
    """The signs of a checkpoint: one that a package ships, or one that is trained by `job`."""

    model: str
    job: Job | None = None


@dataclass(frozen=True)
class Setting:
    """What was tuned for the dense control at one length, and is everyone's."""

    steps: int
    learning_rate: float
    weight_decay: float

    def job(self, seed: int, **options: Any) -> Job:
        """A run at this setting; options are fields of `Job` and come first."""
        return Job(**{"seed": seed, **vars(self), **options})
