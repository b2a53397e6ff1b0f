"""A fault at every call that touches the disk: the old output or the new one is there, and the error is a SubbitError.

What takes the place of what: files and sets of shards, each of each and of nothing. After every fault each name shows
the old content or the new one, no descriptor is lost, and the next writer leaves nothing but its own files.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from tempfile import TemporaryDirectory

from benchmarks.trust.outputs import in_memory
from benchmarks.trust.proof import Proof

__all__ = ["prove"]

_MODES = {
    "once": "EIO at every open, write, flush, fsync, close, link, rename and unlink in turn",
    "lasting": "EIO at each of them and at all that follow, cleaning up included",
    "kill": "kill -9 at each of them",
}


def prove(share: float) -> list[Proof]:
    """One proof a mode; a share takes every so many calls of each change."""
    if not hasattr(os, "fork"):
        return []
    stride = max(1, round(1 / share))
    return [_proof(mode, stride) for mode in _MODES]


def _proof(mode: str, stride: int) -> Proof:
    with TemporaryDirectory(dir=in_memory()) as folder:
        command = [sys.executable, "-m", "benchmarks.trust.faulting", mode, str(stride), folder]
        root = Path(__file__).parent.parent.parent
        done = subprocess.run(command, cwd=root, check=True, capture_output=True, text=True)
    found = json.loads(done.stdout)
    failures = tuple(found["failures"])
    note = f"{len(found['calls'])} changes of {min(found['calls'].values())} to {max(found['calls'].values())} calls"
    return Proof(6, _MODES[mode], found["tried"], len(failures), failures[:10], note)
