"""The same by strace, which no wrapping can miss: errors and kills at the system's own calls, the order of fsyncs."""

from __future__ import annotations

import os
import re
import shutil
import signal
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path
from tempfile import TemporaryDirectory

from benchmarks.trust.outputs import in_memory, name, readable, write
from benchmarks.trust.proof import Proof

__all__ = ["misordered", "prove"]

_CALLS = "openat,write,pwrite64,fsync,fdatasync,close,link,linkat,rename,renameat,renameat2,unlink,unlinkat"
_CHANGES = ((0, 1), (1, 1), (1, 2), (2, 2))
_LONGEST = 120.0
"""Seconds after which a writer hangs."""
_WRITE = """
import sys
from pathlib import Path
from benchmarks.trust.outputs import write
from subbit_formats.errors import SubbitError
try:
    write(Path(sys.argv[1]), int(sys.argv[2]), 2, force=sys.argv[3] == "True")
except SubbitError:
    sys.exit(3)
"""


def prove(share: float) -> list[Proof]:
    """Nothing where there is no strace, or it may not trace."""
    if shutil.which("strace") is None:
        return []
    with TemporaryDirectory(dir=in_memory()) as folder:
        if not _log(Path(folder), (0, 1)):
            return []
        stride = max(1, round(1 / share))
        return [_order(Path(folder)), _faults(Path(folder), stride)]


def _order(folder: Path) -> Proof:
    """Every file is forced to the disk before it gets a name, and the folder after."""
    tried, failures = 0, []
    for change in _CHANGES:
        log = _log(folder, change)
        tried += sum(_renamed(line) is not None for line in log)
        failures += [f"{name(change)}: {wrong}" for wrong in misordered(log)]
    what = "strace: data forced to the disk before a file gets its name, shards before their index, the folder after"
    return Proof(6, what, tried, len(failures), tuple(failures[:10]), "names given")


def misordered(log: Sequence[str]) -> Iterator[str]:
    """What is named before its data is on the disk, and names that the folder's fsync does not follow."""
    dirty: set[str] = set()
    pending: list[str] = []
    for line in log:
        if written := re.match(r"p?write(?:64)?\(\d+<([^>]+)>", line):
            dirty.add(written[1])
        elif synced := re.match(r"f(?:data)?sync\(\d+<([^>]+)>", line):
            dirty.discard(synced[1])
            pending = [path for path in pending if str(Path(path).parent) != synced[1]]
        elif (renamed := _renamed(line)) is not None:
            source, target = renamed
            if source in dirty:
                yield f"{target} is named before its data is on the disk"
            if target.endswith(".json") and pending:
                yield f"the index is named before {pending}"
            pending.append(target)
    if pending:
        yield f"no fsync of the folder after {pending}"


def _renamed(line: str) -> tuple[str, str] | None:
    found = re.match(r'(?:rename|link)(?:at2?)?\((?:AT_FDCWD\S*, )?"([^"]+)", (?:AT_FDCWD\S*, )?"([^"]+)"', line)
    return (found[1], found[2]) if found else None


def _faults(folder: Path, stride: int) -> Proof:
    """Each call of each kind that touches the folder, with EIO and with kill -9."""
    tried, failures = 0, []
    for change in _CHANGES:
        seen: Counter[str] = Counter()
        places = []
        for line in _log(folder, change):
            call = line.split("(")[0]
            seen[call] += 1
            if str(folder) in line:
                places.append((call, seen[call]))
        for number, (call, when) in enumerate(places):
            if number % stride:
                continue
            for fault in ("error=EIO", "signal=SIGKILL"):
                tried += 1
                wrong = _injected(folder, change, f"{call}:{fault}:when={when}")
                failures += [f"{name(change)}: {call}:{fault}:when={when}: {text}" for text in wrong]
    what = "strace: EIO and kill -9 at every system call that touches the folder"
    return Proof(6, what, tried, len(failures), tuple(failures[:10]))


def _injected(folder: Path, change: tuple[int, int], fault: str) -> Iterator[str]:
    path, code, _ = _traced(folder, change, f"trace={fault.split(':')[0]}", f"inject={fault}")
    if code not in ((-9, 137) if "KILL" in fault else (0, 3)):  # by the kill; written or refused
        yield f"exit code {code}"
    try:
        found = readable(path)
    except Exception as error:
        yield f"torn: {error}"
        return
    if not found <= {change, (change[0], 1), (change[1], 2)} or (change[0] and not found):
        yield f"shows {found}"
    if code == 0 and (change[1], 2) not in found:
        yield "says that it is written, and is not"


def _log(folder: Path, change: tuple[int, int]) -> list[str]:
    return _traced(folder, change, f"trace={_CALLS}")[2]


def _traced(folder: Path, change: tuple[int, int], *expressions: str) -> tuple[Path, int, list[str]]:
    """The output, how the writer ended, and its calls."""
    place = folder / "place"
    shutil.rmtree(place, ignore_errors=True)
    place.mkdir()
    path = place / "m.sbit"
    write(path, change[0], 1)
    log = folder / "log"
    writer = [sys.executable, "-c", _WRITE, str(path), str(change[1]), str(change[0] > 0)]
    given = [part for expression in expressions for part in ("-e", expression)]
    traced = ["strace", "-qq", "-y", "-s", "0", "-o", str(log), *given, *writer]
    root = Path(__file__).parent.parent.parent
    environment = {**os.environ, "PYTHONHASHSEED": "0", "PYTHONPATH": str(root), "PYTHONDONTWRITEBYTECODE": "1"}
    quiet = subprocess.DEVNULL
    running = subprocess.Popen(traced, cwd=root, env=environment, stdout=quiet, stderr=quiet, start_new_session=True)
    try:
        code = running.wait(_LONGEST)
    except subprocess.TimeoutExpired:  # it hangs
        os.killpg(running.pid, signal.SIGKILL)
        running.wait()
        code = 1
    lines = log.read_text("utf-8", "replace").splitlines() if log.exists() else []
    return path, code, lines
