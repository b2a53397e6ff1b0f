"""Kill -9 while a sharded checkpoint is compressed, again and again, until the output is there: the same bytes."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from benchmarks.trust.outputs import in_memory
from benchmarks.trust.proof import Proof

__all__ = ["killed", "prove"]

_KILLS = {"file": 200, "shards": 200, "planned": 40}
_WHAT = {
    "file": "kill -9 at random moments of compressing a sharded checkpoint into one file, then the same command",
    "shards": "the same into shards",
    "planned": "the same into shards, planning included",
}
_SEED = 20261


def prove(share: float) -> list[Proof]:
    """One proof a kind of output; what is killed while it plans has nothing to go on from."""
    if not hasattr(os, "fork"):
        return []
    return [_proof(case, max(2, round(kills * share))) for case, kills in _KILLS.items()]


def killed(case: str, kills: int, seed: int = _SEED) -> dict[str, Any]:
    """What `resuming` found."""
    with TemporaryDirectory(dir=in_memory()) as folder:
        command = [sys.executable, "-m", "benchmarks.trust.resuming", case, str(kills), str(seed), folder]
        root, environment = Path(__file__).parent.parent.parent, {**os.environ, "SUBBIT_THREADS": "1"}
        done = subprocess.run(command, cwd=root, env=environment, check=True, capture_output=True, text=True)
    found: dict[str, Any] = json.loads(done.stdout)
    return found


def _proof(case: str, kills: int) -> Proof:
    found = killed(case, kills)
    note = (
        f"{found['rounds']} outputs; {found['encoded']} tensors encoded twice; a changed weight refused "
        f"{found['refused']} of {found['refused']} times"
    )
    return Proof(7, _WHAT[case], found["kills"], len(found["failures"]), tuple(found["failures"][:10]), note)
