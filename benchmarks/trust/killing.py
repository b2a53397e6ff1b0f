"""Kill -9 at random moments: a child overwrites in a loop, its parent kills it and looks at what is left.

`python -m benchmarks.trust.killing CASE TIMES SEED FOLDER` prints one JSON object; a process of its own, so that it
forks where there are no threads.
"""

from __future__ import annotations

import json
import mmap
import os
import random
import shutil
import signal
import struct
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from benchmarks.trust.victims import CASES, Victim

__all__ = ["main"]

_LONGEST = 3.0
"""The latest kill, in times that one write takes."""


def kills(victim: Victim, times: int, seed: int) -> dict[str, Any]:
    """How often the file was torn; and how often the kill came before the write was done, by whether it counted."""
    draw = random.Random(seed)
    shared = mmap.mmap(-1, 8)
    victim.write(0)  # with all that has to be imported
    started = time.monotonic()
    victim.write(1)
    victim.write(2)
    longest = _LONGEST * (time.monotonic() - started) / 2
    found: dict[str, Any] = {"torn": [], "old": 0, "new": 0, "left": 0, "stale": []}
    there = 2
    for turn in range(times):
        begun = there
        shared[:] = struct.pack("<q", begun)
        delay = draw.uniform(0, longest)
        child = os.fork()
        if child == 0:
            _overwrite(victim.write, begun, shared)
        _kill_after(child, shared, begun, delay)
        (last,) = struct.unpack("<q", shared[:])
        before = begun if last <= begun + 1 else last - 1
        found["left"] += bool(victim.leftovers())
        try:
            there = victim.read()
            if there not in (before, last):
                raise ValueError(f"holds write {there}, not {before} or {last}")
            found["new" if there == last else "old"] += 1
        except Exception as error:
            found["torn"].append(
                f"seed {seed}, kill {turn} after {delay * 1e3:.2f} ms: {type(error).__name__}: {error}"
            )
            shutil.rmtree(victim.folder)
            victim.folder.mkdir()
            there = last + 1
            victim.write(there)
    victim.write(there + 1)
    found["stale"] = victim.leftovers()
    return found


def _overwrite(write: Callable[[int], None], number: int, shared: mmap.mmap) -> None:
    """In the child: write after write, each with its number, until killed."""
    try:
        while True:
            number += 1
            shared[:] = struct.pack("<q", number)
            write(number)
    finally:
        os._exit(1)


def _kill_after(child: int, shared: mmap.mmap, begun: int, delay: float) -> None:
    while struct.unpack("<q", shared[:])[0] == begun:  # it has not begun to write
        time.sleep(1e-4)
    time.sleep(delay)
    os.kill(child, signal.SIGKILL)
    _, status = os.waitpid(child, 0)
    if not os.WIFSIGNALED(status):
        raise RuntimeError("the child ended by itself: it could not write")


def main(case: str, times: str, seed: str, folder: str) -> None:
    """One case in a new folder."""
    place = Path(folder) / case
    place.mkdir()
    print(json.dumps(kills(CASES[case](place), int(times), int(seed))))


if __name__ == "__main__":
    main(*sys.argv[1:])
