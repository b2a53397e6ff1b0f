"""Kernels stay in their arrays, whatever a file with good checksums holds (promise 3).

In guarded memory the processor ends a process that reads or writes a byte too far, in vector instructions too. In
kernels that check their indices a wrong one is an error even where it hits another array. What fails is repeated by
`python -m benchmarks.trust.decoding` with the words of the failure.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

from benchmarks.trust.guard import PLACES
from benchmarks.trust.proof import Proof
from benchmarks.trust.specimens import CODECS, SHAPES

__all__ = ["CACHE", "CHECKED", "prove", "run"]

_HOSTILE, _GOOD = 100_000, 4 * len(CODECS) * len(SHAPES)
_AT_ONCE = 5_000
_MOST_FAILURES = 10
CHECKED = {"NUMBA_BOUNDSCHECK": "1", "PYTHONMALLOC": "debug"}
CACHE = Path(__file__).parent / "__pycache__" / "checked"
"""Kernels that check their indices have the same names in the cache as others: they need their own."""


def prove(share: float) -> list[Proof]:
    """Hostile tensors at both ends of their pages and with checked indices; good ones, from encoder to product."""
    hostile, good = max(1, int(share * _HOSTILE)), max(1, int(share * _GOOD))
    words = "sections, shapes, types and knobs that no encoder wrote, decoded and multiplied by: "
    jobs = [
        ("hostile", PLACES, hostile, words + "arrays between forbidden pages"),
        ("hostile", ("checked",), hostile, words + "kernels that check each index"),
        ("good", (*PLACES, "checked"), good, "encoders, decoders and products on odd shapes, both ways"),
    ]
    return [_proof(*job) for job in jobs]


def _proof(what: str, places: tuple[str, ...], count: int, words: str) -> Proof:
    with ThreadPoolExecutor(2) as pool:
        runs = list(pool.map(lambda place: run(what, place, 0, count), places))
    failures = [failure for one in runs for failure in one["failures"]]
    accepted, refused, calls = (sum(one[name] for one in runs) for name in ("accepted", "refused", "calls"))
    note = f"{accepted:,} accepted, {refused:,} refused" + (f", {calls:,} calls of kernels" if calls else "")
    return Proof(3, words, count * len(places), len(failures), tuple(failures[:_MOST_FAILURES]), note)


def run(what: str, place: str, first: int, stop: int) -> dict[str, Any]:
    """What `decoding` says about some numbers; where its process was killed, that is a failure, and it goes on."""
    total: dict[str, Any] = {"accepted": 0, "refused": 0, "calls": 0, "failures": []}
    environment = os.environ | {"SUBBIT_KERNELS": "compiled", "SUBBIT_THREADS": "1"}
    if place == "checked":
        environment |= CHECKED | {"NUMBA_CACHE_DIR": str(CACHE)}
    with tempfile.TemporaryDirectory() as folder:
        progress = Path(folder) / "number"
        while first < stop and len(total["failures"]) < _MOST_FAILURES:
            end = min(first + _AT_ONCE, stop)
            command = [
                sys.executable,
                "-m",
                "benchmarks.trust.decoding",
                what,
                place,
                str(first),
                str(end),
                str(progress),
            ]
            done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
            if done.returncode:
                end = int(progress.read_text()) + 1 if progress.exists() else stop
                last = (done.stderr.strip().splitlines() or [""])[-1]
                total["failures"].append(f"{what} {place} {end - 1} {end}: ended with {done.returncode} {last}")
                progress.unlink(missing_ok=True)
            else:
                found = json.loads(done.stdout)
                total = {name: total[name] + found[name] for name in total}
            first = end
    return total
