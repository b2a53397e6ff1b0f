"""Work with too little address space (`ulimit -v`) is refused with kind "memory" and a way out, and leaves nothing."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from tempfile import TemporaryDirectory

from benchmarks.trust.proof import Proof

__all__ = ["prove"]


def prove(share: float) -> list[Proof]:
    """Every verb with every limit, whatever the share; nothing where the system does not say what a process has."""
    if not Path("/proc/self/statm").exists():
        return []
    root = Path(__file__).parent.parent.parent
    own = {"SUBBIT_THREADS": "1", "MALLOC_MMAP_THRESHOLD_": "65536"}  # what is given back leaves the address space
    with TemporaryDirectory() as folder:
        command = [sys.executable, "-m", "benchmarks.trust.squeezing", folder]
        done = subprocess.run(command, cwd=root, env=os.environ | own, check=True, stdout=subprocess.PIPE, text=True)
    found = json.loads(done.stdout)
    ends = [end for verb in found["ends"].values() for end in verb.values()]
    what = f"{', '.join(found['ends'])} under ulimit -v, with 1 to 1024 MiB for a matrix of 4 MiB"
    note = f"{ends.count('done')} done, {ends.count('refused')} refused"
    return [Proof(12, what, len(ends), len(found["failures"]), tuple(found["failures"][:10]), note)]
