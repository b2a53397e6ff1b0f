"""Loading runs no code (promise 1).

Python reports to an audit hook what it does while files are read: nothing but opening and mapping them. The source has
no call that could run what stands in a file; pickles that would are refused; and reading needs five packages.
"""

from __future__ import annotations

import ast
import json
import subprocess
import sys
import tempfile
from pathlib import Path

import subbit
from benchmarks.trust.environments import READING, ROOT, environment, wheel
from benchmarks.trust.proof import Proof
from benchmarks.trust.source_calls import dangers, examined
from benchmarks.trust.specimens import GOLDEN

__all__ = ["prove"]

_HOSTILE = 20_000
_PACKAGES = ("subbit", "formats/subbit_formats", "cli/subbit_cli")


def prove(share: float) -> list[Proof]:
    """The environment that holds nothing else is made only for the whole proof."""
    hostile = max(1, int(share * _HOSTILE))
    proofs = [_audited("plain", hostile), _audited("compiled", 0), _source(), _pickles()]
    return [*proofs, _reading_only()] if share >= 1 else proofs


def _audited(kernels: str, hostile: int) -> Proof:
    words = "opened, verified and decoded under an audit hook: an event that is not opening or mapping that file"
    what = f"goldens and hostile files {words}" if hostile else f"goldens, with compiled kernels, {words}"
    with tempfile.TemporaryDirectory() as folder:
        command = [sys.executable, "-m", "benchmarks.trust.audited", kernels, str(hostile), folder]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        return Proof(1, what, hostile, 1, (" ".join(command) + ": " + done.stderr[-500:],))
    found = json.loads(done.stdout)
    note = f"{found['events']:,} events, {found['refused']:,} files refused"
    return Proof(1, what, found["read"], len(found["bad"]), tuple(found["bad"][:10]), note)


def _source() -> Proof:
    count, found = 0, list[str]()
    for path in (path for package in _PACKAGES for path in sorted((ROOT / package).rglob("*.py"))):
        tree = ast.parse(path.read_text(encoding="utf-8"))
        count += examined(tree)
        found += dangers(tree, path.relative_to(ROOT).as_posix())
    what = "calls and imports of the source: eval, exec, pickle, processes, sockets, a module named by a file"
    return Proof(1, what, count, len(found), tuple(found[:10]))


def _pickles() -> Proof:
    from benchmarks.trust.pickles import evil_checkpoints, runs_in_torch
    from subbit_formats.sources import open_source

    count = ran_in_torch = 0
    failures = []
    with tempfile.TemporaryDirectory() as name:
        sentinel = Path(name) / "ran"
        for path in evil_checkpoints(Path(name), sentinel):
            count += 1
            try:
                with_weights = len(list(open_source(path)))
                failures.append(f"{path.name} gives {with_weights} tensors")
            except subbit.SubbitError:
                pass
            if sentinel.exists():
                failures.append(f"{path.name} ran")
                sentinel.unlink()
            ran_in_torch += path.is_file() and runs_in_torch(path, sentinel)
    note = f"torch.load(weights_only=False) runs the code of {ran_in_torch}"
    what = "checkpoints, folders and indexes with pickles that run code, refused before they do"
    return Proof(1, what, count, len(failures), tuple(failures[:10]), note)


def _reading_only() -> Proof:
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        python = environment(sys.executable, folder / "only", wheel(folder), READING)
        command = [python, "-I", str(Path(__file__).parent / "decoded.py"), str(GOLDEN), "*.sbit*"]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
    what = f"tensors of goldens decoded to their digests where pip installed {', '.join(READING)} and subbit, no more"
    if done.returncode:
        return Proof(1, what, 1, 1, (done.stderr[-500:],))
    found = json.loads(done.stdout)
    digests = json.loads((GOLDEN / "digests.json").read_text(encoding="utf-8"))
    due = {f"{file}:{name}": one["sha256"] for file, each in digests.items() for name, one in each["tensors"].items()}
    wrong = [name for name in due if found["decoded"].get(name) != due[name]]
    wrong += [f"{other} is installed" for other in found["others"]]
    note = ", ".join(f"{name} {version}" for name, version in found["versions"].items())
    return Proof(1, what, len(due), len(wrong), tuple(wrong[:10]), f"Python {found['python']}, {note}")
