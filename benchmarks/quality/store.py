"""results/quality.json: every finished job, one a line."""

from __future__ import annotations

import json
import platform
from dataclasses import asdict
from pathlib import Path
from typing import Any

import torch
import transformers

import subbit
from benchmarks.quality.jobs import Job

__all__ = ["FOLDER", "RESULTS", "Results", "Run"]

FOLDER = Path(__file__).parent.parent / "results" / "quality"
RESULTS = FOLDER.with_suffix(".json")
VERSION = 1

Run = dict[str, Any]


class Results:
    """What has been measured, {job: run}, and the file that holds it."""

    def __init__(self, path: Path | None = None) -> None:
        self.path = RESULTS if path is None else path
        self.runs: dict[Job, Run] = {}
        self.peers: list[str] = []
        if self.path.exists():
            held = json.loads(self.path.read_text("utf-8"))
            self.runs = {Job(**run["job"]): run for run in held["runs"]}
            self.peers = held["machine"]["peers"]

    def __contains__(self, job: Job) -> bool:
        """Whether it was measured; what was not to be had, and did not refuse, is tried again."""
        unavailable = self.runs.get(job, {"unavailable": ""}).get("unavailable")
        return unavailable is None or unavailable.startswith("refuses")

    def add(self, job: Job, found: Run) -> None:
        """Store what was measured, in memory and, as a whole new file, on disk."""
        self.runs[job] = {"job": asdict(job), **found}
        self.path.parent.mkdir(parents=True, exist_ok=True)
        fresh = self.path.with_suffix(".new")
        fresh.write_text(self._text(), "utf-8")
        fresh.replace(self.path)

    def _text(self) -> str:
        packages = {module.__name__: module.__version__ for module in (subbit, torch, transformers)}
        machine = {"processor": platform.machine(), "python": platform.python_version(), **packages}
        head = json.dumps({"version": VERSION, "machine": {**machine, "peers": self.peers}})[:-1]
        lines = ",\n".join(json.dumps(run) for run in self.runs.values())
        return f'{head},\n"runs": [\n{lines}\n]}}\n'
