"""results/lockin.json: every finished run at once, one a line, in an order that no run's end decides."""

from __future__ import annotations

import json
import platform
from collections.abc import Iterable
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import torch

import subbit
from benchmarks.lockin.jobs import Job, Task, Wall

__all__ = ["FOLDER", "RESULTS", "Results"]

FOLDER = Path(__file__).parent.parent / "results" / "lockin"
RESULTS = FOLDER.with_suffix(".json")
VERSION = 2

Run = dict[str, Any]


class Results:
    """What has been measured: {job: run} and {wall: report}, and the file that holds them."""

    def __init__(self, path: Path | None = None) -> None:
        self.path = RESULTS if path is None else path
        self.runs: dict[Job, Run] = {}
        self.walls: dict[Wall, Run] = {}
        if self.path.exists():
            held = json.loads(self.path.read_text("utf-8"))
            self.runs = {Job(**run["job"]): run for run in held["runs"]}
            self.walls = {_wall(report): report for report in held["walls"]}

    def missing(self, tasks: Iterable[Task | Wall]) -> list[Task | Wall]:
        """Those that are not stored, each job once, with the budgets of all that share it."""
        walls = dict.fromkeys(task for task in tasks if isinstance(task, Wall))
        budgets: dict[Job, set[float]] = {}
        for task in tasks:
            if isinstance(task, Task):
                budgets.setdefault(task.job, set()).update(task.budgets)
        wanted = [Task(job, tuple(sorted(asked))) for job, asked in budgets.items() if not self._has(job, asked)]
        return [*wanted, *(wall for wall in walls if "matrices" not in self.walls.get(wall, {}))]

    def _has(self, job: Job, budgets: set[float]) -> bool:
        return job in self.runs and budgets <= set(self.runs[job]["budgets"])

    def add(self, task: Task | Wall, found: Run) -> None:
        """Store what was measured, in memory and, as a whole new file, on disk."""
        if isinstance(task, Wall):
            self.walls[task] = {"wall": asdict(task), **found}
        else:
            self.runs[task.job] = {"job": asdict(task.job), "budgets": list(task.budgets), **found}
        self.path.parent.mkdir(parents=True, exist_ok=True)
        fresh = self.path.with_suffix(".new")
        fresh.write_text(self._text(), "utf-8")
        fresh.replace(self.path)

    def seeds(self, job: Job) -> list[Run]:
        """All runs that differ from `job` in the seed alone, by seed."""
        found = [own for own in self.runs if replace(own, seed=job.seed) == job]
        return [self.runs[own] for own in sorted(found, key=lambda own: own.seed)]

    def _text(self) -> str:
        machine = {"python": platform.python_version(), "torch": torch.__version__, "subbit": subbit.__version__}
        head = json.dumps({"version": VERSION, "machine": machine})[:-1]
        runs, walls = (",\n".join(sorted(map(json.dumps, held.values()))) for held in (self.runs, self.walls))
        return f'{head},\n"runs": [\n{runs}\n],\n"walls": [\n{walls}\n]}}\n'


def _wall(report: Run) -> Wall:
    given = report["wall"]
    return Wall(given["model"], given["job"] and Job(**given["job"]))
