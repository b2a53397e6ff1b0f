"""Kill -9 at random moments of one compression after another, until each is done.

`python -m benchmarks.trust.resuming CASE KILLS SEED FOLDER` prints one JSON object; a process of its own, with one
thread, so that it can fork.
"""

from __future__ import annotations

import json
import os
import random
import shutil
import signal
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
from safetensors.numpy import save_file

import subbit
from subbit.errors import SubbitError
from subbit.model import encoding

__all__ = ["CASES", "main"]

_TENSORS, _SHAPE, _SHARDS = 12, (96, 128), 3
_PLAN = subbit.Plan(()).using("*", subbit.DeadZone(1.5))
CASES: dict[str, dict[str, Any]] = {
    "file": {"plan": _PLAN},
    "shards": {"plan": _PLAN, "shard_bytes": 12_000},
    "planned": {"bits": 1.5, "shard_bytes": 12_000},
    "forgetful": {"plan": _PLAN},
}
"""What is compressed how; the forgetful one loses what it has kept, which must be noticed."""
_LONGEST = {"file": 0.4, "shards": 0.4, "planned": 1.2, "forgetful": 1.2}
"""The latest kill as a share of an undisturbed run: one that is killed while it plans has to plan again. It grows from
kill to kill, so that a machine that has become slower comes to an end."""


def checkpoint(folder: Path, changed: int | None = None) -> Path:
    """A sharded safetensors checkpoint; one weight of one tensor may be another."""
    folder.mkdir()
    places = {}
    for shard in range(_SHARDS):
        file = f"model-{shard + 1:05}-of-{_SHARDS:05}.safetensors"
        tensors = {}
        for number in range(shard, _TENSORS, _SHARDS):
            random_ = np.random.default_rng(number)
            tensors[f"layer{number:02}.weight"] = random_.standard_normal(_SHAPE).astype(np.float32)
            if number == changed:
                tensors[f"layer{number:02}.weight"][0, 0] += 1e-3
        save_file(tensors, folder / file)
        places |= dict.fromkeys(tensors, file)
    (folder / "model.safetensors.index.json").write_text(json.dumps({"metadata": {}, "weight_map": places}))
    return folder


def resumed(case: str, kills: int, seed: int, folder: Path) -> dict[str, Any]:
    """Rounds until there were so many kills: how many, and what was wrong in which."""
    draw = random.Random(seed)
    models = checkpoint(folder / "model"), checkpoint(folder / "changed", 0)
    subbit.compress(models[0], _fresh(folder / "warm") / "m.sbit", **CASES[case])
    started = time.monotonic()
    report = subbit.compress(models[0], _fresh(folder / "whole") / "m.sbit", **CASES[case])
    longest = _LONGEST[case] * (time.monotonic() - started)
    whole = _files(folder / "whole"), str(report)
    found: dict[str, Any] = {"kills": 0, "rounds": 0, "refused": 0, "encoded": 0, "failures": []}
    while found["kills"] < kills:
        place, log = _fresh(folder / "round"), folder / "log"
        log.write_text("")
        killed = 0
        partial = place / "m.sbit.partial"
        while (
            code := _run(models[0], place, log, case, draw.uniform(0, longest) * (1 + killed / 8))
        ) == -signal.SIGKILL:
            killed += 1
            if not partial.exists() and any(place.glob("m*.sbit")):  # it was done, and had not said so
                code = 0
                break
            if partial.exists() and len(log.read_text().split("\n")) > 2 + killed:
                found["refused"] += 1
                if _run(models[1], place, folder / "other", case, None) != 3:
                    found["failures"].append(f"seed {seed}, round {found['rounds']}: changed weights are not refused")
        encoded = log.read_text().count("\n")
        wrong = [f"exit code {code}"] * (code != 0)
        wrong += ["other bytes than undisturbed"] * (_files(place) != whole[0])
        reported = folder / "report"
        wrong += ["another report"] * (reported.exists() and reported.read_text() != whole[1])
        reported.unlink(missing_ok=True)
        wrong += [f"{encoded} tensors encoded after {killed} kills"] * (encoded > _TENSORS + killed)
        found["failures"] += [f"seed {seed}, round {found['rounds']}: {text}" for text in wrong]
        found["kills"] += killed
        found["encoded"] += encoded - _TENSORS
        found["rounds"] += 1
    return found


def _run(model: Path, place: Path, log: Path, case: str, delay: float | None) -> int:
    """One try in a child, killed after a delay: how it ended. Tensors that it encodes are lines of the log."""
    child = os.fork()
    if child == 0:
        try:
            os._exit(_compress(model, place, log, case))
        finally:
            os._exit(1)
    if delay is not None:
        time.sleep(delay)
        os.kill(child, signal.SIGKILL)
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])


def _compress(model: Path, place: Path, log: Path, case: str) -> int:
    real = encoding.encode

    def encode(*arguments: Any) -> Any:
        with log.open("a") as lines:
            lines.write("encoded\n")
        return real(*arguments)

    encoding.encode = encode  # type: ignore[assignment]
    if case == "forgetful":
        (place / "m.sbit.partial").unlink(missing_ok=True)
    try:  # what a kill after the last rename leaves is there already
        report = subbit.compress(model, place / "m.sbit", resume=True, force=True, **CASES[case])
    except SubbitError as error:
        return 3 if error.kind == "resume" else 4
    (place.parent / "report").write_text(str(report))
    return 0


def _files(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.iterdir()}


def _fresh(folder: Path) -> Path:
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir()
    return folder


def main(case: str, kills: str, seed: str, folder: str) -> None:
    """One case, in an empty folder."""
    print(json.dumps(resumed(case, int(kills), int(seed), Path(folder))))


if __name__ == "__main__":
    main(*sys.argv[1:])
