"""One fault at every call that touches the disk, while an output takes the place of another.

`python -m benchmarks.trust.faulting MODE STRIDE FOLDER` prints one JSON object: every STRIDE-th call of every change.
MODE is `once` (that call gives EIO), `lasting` (all from it on do, cleaning up included) or `kill` (it is kill -9).
"""

from __future__ import annotations

import json
import os
import shutil
import signal
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from benchmarks.trust.injected import Injected, fail
from benchmarks.trust.outputs import CHANGES, name, readable, write
from subbit_formats.errors import SubbitError

__all__ = ["faults", "main"]


def faults(mode: str, stride: int, folder: Path) -> dict[str, Any]:
    """How many were tried, and what was wrong after which."""
    found: dict[str, Any] = {"tried": 0, "failures": [], "calls": {}}
    for change in CHANGES:
        calls = _dry(change, folder)
        found["calls"][name(change)] = len(calls)
        for at in range(1 + sum(map(ord, mode)) % stride, len(calls) + 1, stride):
            found["tried"] += 1
            wrong = [*_tried(change, mode, at, folder)]
            found["failures"] += [f"{name(change)}, {mode}, call {at} ({calls[at - 1]}): {text}" for text in wrong]
    return found


def _dry(change: tuple[int, int], folder: Path) -> list[str]:
    path = _fresh(folder)
    write(path, change[0], 1)
    with Injected() as injected:
        write(path, change[1], 2)
    return injected.calls


def _tried(change: tuple[int, int], mode: str, at: int, folder: Path) -> Iterator[str]:
    """What is wrong after one fault."""
    path = _fresh(folder)
    write(path, change[0], 1)
    handles = _handles()
    outcome = _killed(path, change[1], at) if mode == "kill" else _failed(path, change[1], at, mode == "lasting")
    if outcome not in ("written", "refused", "killed"):
        yield outcome
    if _handles() != handles:
        yield "a descriptor is lost"
    old, new = {(change[0], 1)} - {(0, 1)}, {(change[1], 2)}
    try:
        found = readable(path)
    except Exception as error:
        yield f"torn: {type(error).__name__}: {error}"
    else:
        if not found <= old | new or (old and not found):
            yield f"shows {found}"
        if outcome == "written" and not found >= new:
            yield "says that it is written, and is not"
    write(path, change[1], 3)
    left = [each.name for each in folder.iterdir() if f".tmp-{os.getpid()}-" not in each.name]  # this process lives
    if readable(path) != {(change[1], 3)} or len(left) != (1 if change[1] == 1 else change[1] + 1):
        yield f"the next writer leaves {sorted(left)}"


def _failed(path: Path, count: int, at: int, lasting: bool) -> str:
    try:
        with Injected(at, fail, lasting):
            write(path, count, 2)
    except SubbitError:
        return "refused"
    except Exception as error:
        return f"raises {type(error).__name__}: {error}"
    return "written"


def _killed(path: Path, count: int, at: int) -> str:
    child = os.fork()
    if child == 0:
        try:
            with Injected(at, lambda: os.kill(os.getpid(), signal.SIGKILL)):
                write(path, count, 2)
        finally:
            os._exit(1)
    _, status = os.waitpid(child, 0)
    return "killed" if os.WIFSIGNALED(status) else "was not killed"


def _handles() -> int:
    """Open descriptors of this process, where the system says so."""
    own = Path("/proc/self/fd")
    return len(list(own.iterdir())) if own.exists() else 0


def _fresh(folder: Path) -> Path:
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir()
    return folder / "m.sbit"


def main(mode: str, stride: str, folder: str) -> None:
    """One mode, in a new folder."""
    print(json.dumps(faults(mode, int(stride), Path(folder) / mode)))


if __name__ == "__main__":
    main(*sys.argv[1:])
