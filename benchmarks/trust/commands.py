"""The command line on forged and damaged files: an exit code, one line, no traceback."""

from __future__ import annotations

import os
import random
import re
import sys
from contextlib import redirect_stderr, redirect_stdout
from io import StringIO
from pathlib import Path

from benchmarks.trust.edits import changed_bytes
from benchmarks.trust.forgery import forgery
from benchmarks.trust.proof import Proof
from benchmarks.trust.seeds import goldens
from benchmarks.trust.victim import ALLOWED
from benchmarks.trust.workers import Found, spread

__all__ = ["COMMANDS", "complaint", "prove", "tried"]

COMMANDS = (
    ("inspect", "bits-per-weight"),
    ("inspect", "tensors"),
    ("inspect", "tensors", "--json"),
    ("inspect", "header"),
    ("verify", "--quiet"),
    ("verify", "--quiet", "--json"),
    ("decompress", "--quiet", "--force", "--max-bytes", str(ALLOWED), "--output", "out.safetensors"),
)
_FILES = 20_000
_CONTROLS = re.compile(r"[\x00-\x09\x0b-\x1f\x7f-\x9f]")


def prove(share: float) -> list[Proof]:
    """All commands on files of both kinds, half and half."""
    found = tried(max(1, round(_FILES * share)))
    what = (
        f"inspect, verify and decompress, {len(COMMANDS)} commands, on forged and on edited files: anything but exit "
        f"code 0, or 1 and one line on stderr, or control characters"
    )
    return [Proof(3, what, found.tried * len(COMMANDS), found.failed, tuple(found.failures))]


def tried(files: int) -> Found:
    """What came of the commands on so many files."""
    return spread(_attempt, range(files), ALLOWED, _warm_up)


def complaint(arguments: tuple[str, ...]) -> str | None:
    """Run a command in this process; what is wrong with what it said, or None."""
    from subbit_cli.errors import run
    from subbit_cli.main import subbit

    before, sys.argv = sys.argv, ["subbit", *arguments]
    out, err = StringIO(), StringIO()
    try:
        with redirect_stdout(out), redirect_stderr(err):
            code = run(subbit)
    finally:
        sys.argv = before
    said, told = out.getvalue(), err.getvalue()
    line = re.fullmatch(r"subbit: error: [^\n]+\n", told)
    if _CONTROLS.search(said + told):
        return "control characters"
    if code == 1:
        return None if line and not said and "this is a bug" not in told else f"exit code 1, stderr {told!r}"
    return None if code == 0 and not told else f"exit code {code}, stderr {told!r}"


def _attempt(number: int, folder: Path) -> list[str]:
    chance = random.Random(number)
    data = forgery(number) if number % 2 else changed_bytes(chance.choice(list(goldens().values())), chance)
    return _complaints(data, folder)


def _complaints(data: bytes, folder: Path) -> list[str]:
    os.chdir(folder)
    Path("hostile.sbit").write_bytes(data)
    found = [(command, complaint((*command, "hostile.sbit"))) for command in COMMANDS]
    return [f"{' '.join(command)}: {text}" for command, text in found if text is not None]


def _warm_up(folder: Path) -> None:
    for data in goldens().values():
        _complaints(data, folder)
