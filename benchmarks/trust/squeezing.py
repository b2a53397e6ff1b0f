"""Compress, decompress and load a tensor with less and less address space: done, or refused in so many words.

`python -m benchmarks.trust.squeezing FOLDER` prints one JSON object; a process of its own that has done all of it once
with a small tensor, so that the limit counts what the work itself takes. Every try is a child.
"""

from __future__ import annotations

import json
import os
import resource
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from safetensors.numpy import save_file

import subbit
from subbit.errors import SubbitError

__all__ = ["main", "squeezed"]

_SIZE = 1024
_MIB = (1, 2, 4, 8, 12, 16, 24, 32, 48, 64, 96, 128, 192, 256, 512, 1024)
"""Left above what the process has."""
_PLAN = subbit.Plan(()).using("*", subbit.DeadZone(1.0))


def squeezed(folder: Path) -> dict[str, Any]:
    """How each verb ends with each limit."""
    found: dict[str, Any] = {"ends": {}, "failures": []}
    small, large = _prepared(folder / "small", 64), _prepared(folder / "large", _SIZE)
    for name, verb in _VERBS.items():
        verb(small)
        ends = []
        for mib in _MIB:
            code = _child(verb, large, mib)
            ends.append("done" if code == 0 else "refused" if code == 3 else f"exit code {code}")
            left = {path.name for path in large.iterdir()} - {"m.safetensors", "stored.sbit"}
            if code != 0 and left:
                found["failures"].append(f"{name} with {mib} MiB: refused, and left {left}")
            for each in left:
                (large / each).unlink()
        found["ends"][name] = dict(zip(_MIB, ends, strict=True))
        if not {*ends} <= {"done", "refused"} or ends[-1] != "done":
            found["failures"].append(f"{name}: {found['ends'][name]}")
        if name != "plan" and ends[0] != "refused":  # a plan looks at a sample, which may fit
            found["failures"].append(f"{name}: {ends[0]} with {_MIB[0]} MiB, so that nothing is shown")
    return found


def _prepared(folder: Path, size: int) -> Path:
    folder.mkdir()
    weights = np.random.default_rng(0).standard_normal((size, size)).astype(np.float32)
    save_file({"w": weights}, folder / "m.safetensors")
    subbit.compress(folder / "m.safetensors", folder / "stored.sbit", plan=_PLAN)
    return folder


def _child(verb: Callable[[Path], object], folder: Path, mib: int) -> int:
    child = os.fork()
    if child:
        return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    code = 1
    try:
        pages = int(Path("/proc/self/statm").read_text().split()[0])
        limit = pages * resource.getpagesize() + (mib << 20)
        resource.setrlimit(resource.RLIMIT_AS, (limit, limit))
        verb(folder)
        code = 0
    except SubbitError as error:
        code = 3 if error.kind == "memory" and error.hint else 4
    finally:
        os._exit(code)


_VERBS: dict[str, Callable[[Path], object]] = {
    "plan": lambda folder: subbit.plan(folder / "m.safetensors", bits=1.0),
    "compress": lambda folder: subbit.compress(folder / "m.safetensors", folder / "m.sbit", plan=_PLAN),
    "decompress": lambda folder: subbit.decompress(folder / "stored.sbit", folder / "back.safetensors"),
    "load": lambda folder: subbit.load(folder / "stored.sbit"),
    "verify": lambda folder: subbit.verify(folder / "stored.sbit", folder / "m.safetensors"),
}


def main(folder: str) -> None:
    """All of it, in an empty folder."""
    print(json.dumps(squeezed(Path(folder))))


if __name__ == "__main__":
    main(*sys.argv[1:])
