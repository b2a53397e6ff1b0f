"""Twenty minutes of opening, decoding and closing from eight threads in each of four processes.

Each decoded file is compared with what it gave first. Memory is read two hundred times: the first half is for warming
up, then the last quarter may not lie above the quarter before it. In the end no descriptor is open that was not before.
"""

from __future__ import annotations

import json
import statistics
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from benchmarks.trust.proof import Proof

__all__ = ["leaks", "prove", "soaked"]

_SECONDS = 1200.0
_PROCESSES = 4
_GROWTH_KIB = 4096
"""What memory may differ by between the two quarters: allocators keep what threads gave back."""


def prove(share: float) -> list[Proof]:
    """The soak; nothing where the system does not say what a process holds."""
    if not Path("/proc/self/status").exists():
        return []
    found = soaked(max(2.0, _SECONDS * share), _PROCESSES)
    failures = [line for each in found for line in (*each["wrong"], *leaks(each))]
    peak = max(kib for each in found for _, kib in each["samples"]) / 1024
    growth = max(_growth(each["samples"]) for each in found) / 1024
    what = f"open, decode, compare and close from 8 threads in each of {_PROCESSES} processes"
    lost = sum(each["lost"] for each in found)
    note = (
        f"{found[0]['samples'][-1][0]:.0f} s; at most {peak:.0f} MiB a process, {growth:+.1f} MiB from the third "
        f"quarter of the time to the last; {lost} descriptors lost"
    )
    return [Proof(12, what, sum(each["decoded"] for each in found), len(failures), tuple(failures[:10]), note)]


def soaked(seconds: float, processes: int, leak: bool = False) -> list[dict[str, Any]]:
    """What each process found."""
    root = Path(__file__).parent.parent.parent
    command = [sys.executable, "-m", "benchmarks.trust.soaking", str(seconds)]
    tails = [[str(seed), *["leak"] * leak] for seed in range(processes)]
    running = [subprocess.Popen([*command, *tail], cwd=root, stdout=subprocess.PIPE, text=True) for tail in tails]
    outputs = [process.communicate()[0] for process in running]
    if any(process.returncode for process in running):
        raise RuntimeError("a process of the soak failed")
    return [json.loads(output) for output in outputs]


def leaks(found: dict[str, Any]) -> list[str]:
    """What one process still holds: descriptors, and memory that grew although it was warm."""
    lines = [f"{found['lost']} descriptors are lost"] * (found["lost"] != 0)
    growth = _growth(found["samples"])
    return lines + [f"memory grew by {growth:.0f} KiB from the third quarter to the last"] * (growth > _GROWTH_KIB)


def _growth(samples: Sequence[tuple[float, int]]) -> float:
    """KiB: the median of the last quarter less that of the quarter before."""
    values = [kib for _, kib in samples]
    quarter = max(1, len(values) // 4)
    return statistics.median(values[-quarter:]) - statistics.median(values[-2 * quarter : -quarter])
