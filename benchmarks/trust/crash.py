"""Kill -9 while a file is overwritten, hundreds of times: what is left is the old file or the new one, whole.

The moments are drawn evenly over three writes' time, so that they fall on writing, on syncing and on what comes
after. Then a last write must have swept what the killed ones left.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from benchmarks.trust.proof import Proof

__all__ = ["killed", "prove"]

_TIMES = 500
_WHAT = {
    "file": "kill -9 at random moments while a file of 4 MiB is overwritten",
    "shards": "the same for a set of four shards",
    "changing": "the same for sets of two, three and four shards in turn",
}
_SEED = 20260


def prove(share: float) -> list[Proof]:
    """The same kills for a file, for sets, and for the files of others."""
    if not hasattr(os, "fork"):
        return []
    times = max(4, round(_TIMES * share))
    peers = {name: killed(name, times) for name in ("safetensors", "gguf", "torch")} if share == 1 else {}
    return [_proof(case, times, peers if case == "file" else {}) for case in _WHAT]


def killed(case: str, times: int, seed: int = _SEED) -> dict[str, Any]:
    """What `killing` found; `case` names a victim."""
    with TemporaryDirectory() as folder:
        command = [sys.executable, "-m", "benchmarks.trust.killing", case, str(times), str(seed), folder]
        root = Path(__file__).parent.parent.parent
        done = subprocess.run(command, cwd=root, check=True, capture_output=True, text=True)
    found: dict[str, Any] = json.loads(done.stdout)
    return found


def _proof(case: str, times: int, peers: dict[str, Any]) -> Proof:
    found = killed(case, times)
    failures = [f"{case}: {line}" for line in found["torn"]]
    failures += [f"{case}: {name} was not swept" for name in found["stale"]]
    note = f"{found['old']} old, {found['new']} new; {found['left']} times a hidden file was left and swept"
    if peers:
        note += f"; torch.save: {_torn(peers['torch'], times)}"
    columns = {"safetensors": "safetensors", "gguf": "gguf-py"}
    shown = {column: _torn(peers[name], times) for name, column in columns.items() if name in peers}
    return Proof(6, _WHAT[case], times, len(failures), tuple(failures[:10]), note, shown)


def _torn(found: dict[str, Any], times: int) -> str:
    swept = f", {len(found['stale'])} hidden files for ever" if found["stale"] else ""
    return f"{len(found['torn'])} of {times} torn{swept}"
