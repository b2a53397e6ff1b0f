"""Read files while Python reports all that it does: nothing but opening and mapping those files may happen.

    python -m benchmarks.trust.audited KERNELS COUNT FOLDER

Reads all goldens once, so that what is imported late is there; then watches them being read again, and COUNT hostile
files, written to FOLDER, whose checksums are all right. Prints what happened as JSON.
"""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

import subbit
from benchmarks.trust.hostile import hostile
from benchmarks.trust.specimens import GOLDEN
from subbit_formats.sbit import Writer

__all__ = ["Watch"]

_WRITING = os.O_WRONLY | os.O_RDWR | os.O_CREAT | os.O_TRUNC | os.O_APPEND


def main() -> None:
    """Warm up, watch, report."""
    kernels, count, folder = sys.argv[1], int(sys.argv[2]), Path(sys.argv[3])
    os.environ["SUBBIT_KERNELS"] = kernels
    goldens = [path for path in sorted(GOLDEN.glob("*/*")) if path.suffix in (".sbit", ".json")]
    written = [_written(folder / f"{number}.sbit", number) for number in range(count)]
    for path in (*goldens, *written[:8]):
        _read(path)
    watch = Watch([*goldens, *written])
    sys.addaudithook(watch)
    watch.on = True
    refused = 0
    for path in (*goldens, *written):
        watch.file = path.name
        refused += not _read(path)
    watch.on = False
    print(json.dumps({"read": len(goldens) + count, "refused": refused, "events": watch.events, "bad": watch.bad}))


class Watch:
    """An audit hook; events are named in the table of audit events of Python's documentation."""

    def __init__(self, files: Sequence[Path]) -> None:
        self.files = {os.fspath(path) for path in files}
        self.on = False
        self.file = ""
        """Which one is being read."""
        self.events = 0
        self.bad: list[str] = []

    def __call__(self, event: str, arguments: tuple[Any, ...]) -> None:
        """Count an event, and keep it if it should not be."""
        if not self.on:
            return
        self.events += 1
        reading = event == "open" and arguments[0] in self.files and not arguments[2] & _WRITING
        if not reading and event != "mmap.__new__":
            self.on = False  # telling would be watched, too
            self.bad.append(f"{self.file}: {event}{arguments!r:.200}")
            self.on = True


def _written(path: Path, number: int) -> Path:
    """A hostile tensor as a file."""
    encoded = hostile(number)[1]
    with Writer(path) as writer:
        writer.add(
            "w", shape=encoded.shape, dtype=encoded.dtype, codec=encoded.codec, knobs=encoded.knobs,
            sections=encoded.sections,
        )  # fmt: skip
    return path


def _read(path: Path) -> bool:
    """Open, verify, decode, read what travels along; False where that is refused."""
    base = GOLDEN / "0.1" / "parent.sbit"
    with suppress(subbit.SubbitError):
        subbit.verify(path, base=base)
    with suppress(subbit.SubbitError), subbit.open(path, base=base) as file:
        for name in file.extras:
            file.extra(name)
        subbit.load(path, base=base)
        return True
    return False


if __name__ == "__main__":
    main()
