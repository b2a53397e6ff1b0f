"""Disks that are full or read-only, and two writers at once.

Full and read-only ones are small tmpfs mounts in a mount namespace of their own, which vanish with the process; where
the system allows none, a limit on the size of files stands for a full disk.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from tempfile import TemporaryDirectory

from benchmarks.trust.outputs import CHANGES, name, readable, write
from benchmarks.trust.proof import Proof
from subbit_formats.errors import SubbitError

__all__ = ["filled", "limited", "prove", "read_only"]

_BYTES = 1 << 20
_ROOT = Path(__file__).parent.parent.parent
_OVERWRITE = """
import sys
from pathlib import Path
from benchmarks.trust.outputs import write
for number in range(int(sys.argv[3])):
    write(Path(sys.argv[1]), int(sys.argv[2]), 1 + (2 * number + int(sys.argv[4])) % 250)
"""


def prove(share: float) -> list[Proof]:
    """The disks and the pairs of writers."""
    if os.name != "posix":
        return []
    stride = max(1, round(1 / share))
    with TemporaryDirectory() as folder:
        proofs = []
        if _mounts(folder):
            full = "a full disk: tmpfs filled up to each of its last pages"
            proofs.append(_proof(full, _in_namespace("filled", stride, folder)))
            proofs.append(_proof("a read-only disk", _in_namespace("read_only", stride, folder)))
        limit = "a limit on the size of files at each of 64 bytes"
        proofs.append(_proof(limit, _run([sys.executable, "-m", __name__, "limited", str(stride), folder])))
        return [*proofs, _two_writers(max(2, round(100 * share)), Path(folder))]


def filled(stride: int, folder: Path) -> list[str]:
    """A line for each try: empty, or what is wrong when so many pages are left on the disk."""
    lines = []
    for change in CHANGES[2:]:
        for pages in range(0, 12, stride):
            path = _fresh(folder)
            write(path, change[0], 1)
            (folder / "filler").write_bytes(bytes(4096 * (_free(folder) - pages)))
            lines.append(_wrong(path, change, f"{name(change)}, {pages} pages free", ("disk-full",)))
    return lines


def read_only(stride: int, folder: Path) -> list[str]:
    """The same where nothing can be written."""
    lines = []
    for change in CHANGES[::stride]:
        path = _fresh(folder)
        write(path, change[0], 1)
        subprocess.run(["mount", "-o", "remount,ro", str(folder)], check=True)
        try:
            lines.append(_wrong(path, change, name(change), ("unwritable",), must=True))
        finally:
            subprocess.run(["mount", "-o", "remount,rw", str(folder)], check=True)
    return lines


def limited(stride: int, folder: Path) -> list[str]:
    """The same where files may not grow beyond a size."""
    import resource

    lines = []
    _, most = resource.getrlimit(resource.RLIMIT_FSIZE)
    for change in CHANGES[2:]:
        for size in range(1, 2000, 64 * stride):
            path = _fresh(folder)
            write(path, change[0], 1)
            resource.setrlimit(resource.RLIMIT_FSIZE, (size, most))
            try:
                line = _wrong(path, change, f"{name(change)}, files of {size} bytes", ("disk-full",))
            finally:
                resource.setrlimit(resource.RLIMIT_FSIZE, (most, most))
            lines.append(line)
    return lines


def _wrong(path: Path, change: tuple[int, int], where: str, kinds: tuple[str, ...], must: bool = False) -> str:
    before = sorted(each.name for each in path.parent.iterdir())
    try:
        write(path, change[1], 2)
    except SubbitError as error:
        if error.kind not in kinds:
            return f"{where}: is told as {error.kind}: {error}"
        if readable(path) != {(change[0], 1)} - {(0, 1)}:
            return f"{where}: refused, and shows {readable(path)}"
        if sorted(each.name for each in path.parent.iterdir()) != before:
            return f"{where}: refused, and left something"
        return ""
    if must or readable(path) != {(change[1], 2)}:
        return f"{where}: says that it is written, and shows {readable(path)}"
    return ""


def _two_writers(rounds: int, folder: Path) -> Proof:
    """Pairs of processes overwrite one file or one set; a file is opened all the while, a set when they are done."""
    tried, failures = 0, []
    for change in ((1, 1), (2, 2), (2, 3), (1, 2)):
        path = _fresh(folder / "pairs")
        write(path, change[0], 251)
        arguments = [[str(path), str(change[kind]), str(rounds), str(kind)] for kind in (0, 1)]
        writers = [subprocess.Popen([sys.executable, "-c", _OVERWRITE, *each], cwd=_ROOT) for each in arguments]
        while any(writer.poll() is None for writer in writers):
            if change == (1, 1):
                tried += 1
                failures += _torn(path, change)
        tried += 2 * rounds
        failures += [f"{name(change)}: a writer failed"] * any(writer.returncode for writer in writers)
        failures += _torn(path, change)
        left = [each.name for each in path.parent.iterdir() if each.name.startswith(".")]
        failures += [f"{name(change)}: {left} is left"] * bool(left)
    what = "two writers at once: overwriting, and opening a file meanwhile"
    return Proof(6, what, tried, len(failures), tuple(failures[:10]))


def _torn(path: Path, change: tuple[int, int]) -> list[str]:
    try:
        found = readable(path)
    except Exception as error:
        return [f"{name(change)}: {type(error).__name__}: {error}"]
    return [] if found else [f"{name(change)}: nothing is there"]


def _proof(what: str, lines: list[str]) -> Proof:
    failures = [line for line in lines if line]
    return Proof(6, what, len(lines), len(failures), tuple(failures[:10]))


def _mounts(folder: str) -> bool:
    """Whether this system lets us mount something that nobody else sees."""
    if shutil.which("unshare") is None or shutil.which("mount") is None:
        return False
    return subprocess.run(_namespace(folder, ["true"]), capture_output=True, check=False).returncode == 0


def _namespace(folder: str, command: list[str]) -> list[str]:
    user = [] if os.geteuid() == 0 else ["--user", "--map-root-user"]
    mount = f'mount -t tmpfs -o size={_BYTES} tmpfs "$0" && exec "$@"'
    return ["unshare", *user, "--mount", "sh", "-c", mount, folder, *command]


def _in_namespace(what: str, stride: int, folder: str) -> list[str]:
    return _run(_namespace(folder, [sys.executable, "-m", __name__, what, str(stride), folder]))


def _run(command: list[str]) -> list[str]:
    done = subprocess.run(command, cwd=_ROOT, check=True, capture_output=True, text=True)
    lines: list[str] = json.loads(done.stdout)
    return lines


def _fresh(folder: Path) -> Path:
    folder.mkdir(exist_ok=True)
    for each in folder.iterdir():
        each.unlink()
    return folder / "m.sbit"


def _free(folder: Path) -> int:
    found = os.statvfs(folder)
    return found.f_bavail * found.f_bsize // 4096


if __name__ == "__main__":
    print(json.dumps({"filled": filled, "read_only": read_only, "limited": limited}[sys.argv[1]](
        int(sys.argv[2]), Path(sys.argv[3])
    )))  # fmt: skip
