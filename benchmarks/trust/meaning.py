"""One file, one meaning: what breaks a rule is refused by that rule's error, and what is accepted has one spelling."""

from __future__ import annotations

import json
from contextlib import ExitStack
from pathlib import Path

from benchmarks.trust.forgery import forgery
from benchmarks.trust.proof import Proof
from benchmarks.trust.seeds import room
from formats.bad.make_bad import ERRORS, HOME, fragment, refusal
from subbit.errors import SubbitError
from subbit_formats.sbit import VERSION, Reader, Writer

__all__ = ["prove", "rewritten"]

_FILES = 100_000


def prove(share: float) -> list[Proof]:
    """All bad files, whatever the share, and forged ones."""
    return [_bad_files(), _spellings(max(200, round(_FILES * share)))]


def _bad_files() -> Proof:
    stated = json.loads((HOME / ERRORS).read_text("utf-8"))
    failures = []
    for name, error in stated.items():
        found = refusal(HOME / name)
        if found is None or (found.kind, fragment(found.message)) != (error["kind"], error["message"]):
            failures.append(f"{name}: {found!r}")
    what = "committed files that each break one rule: refused with the error that is stated beside them"
    kinds = len({error["kind"] for error in stated.values()})
    return Proof(5, what, len(stated), len(failures), tuple(failures[:10]), f"{kinds} kinds of error")


def _spellings(files: int) -> Proof:
    accepted, failures = 0, []
    with room() as folder:
        path = Path(folder) / "forged.sbit"
        for number in range(files):
            path.write_bytes(forgery(number))
            again = rewritten(path)
            accepted += again is not None
            if again is not None and again != path.read_bytes():
                failures.append(f"input {number}: the same contents have other bytes")
    what = "forged files with valid checksums, written again from what was read, where they are accepted: other bytes"
    return Proof(5, what, accepted, len(failures), tuple(failures[:10]), f"of {files:,} files")


def rewritten(path: Path) -> bytes | None:
    """The bytes that a writer makes of what a file holds; None where it is refused.

    None, too, for files of a newer minor version and for those with extras, which may be compressed in many ways.
    """
    reader = _accepted(path)
    if reader is None:
        return None
    with reader:
        if reader.version != VERSION or reader.extras:
            return None
        again = path.with_name("again.sbit")
        with Writer(again, reader.metadata, force=True) as writer:
            for name, entry in reader.tensors.items():
                writer.add(
                    name, shape=entry.shape, dtype=entry.dtype, codec=entry.codec, knobs=entry.knobs,
                    sections=reader.sections(name), covered=entry.covered,
                )  # fmt: skip
            for alias, name in reader.aliases.items():
                writer.alias(alias, name)
    return again.read_bytes()


def _accepted(path: Path) -> Reader | None:
    with ExitStack() as stack:
        try:
            reader = stack.enter_context(Reader(path))
            reader.verify()
        except SubbitError:
            return None
        stack.pop_all()
    return reader
