"""A file of records that only grows: what was appended before a kill or a power cut is found again.

After eight bytes of magic each record is the lengths of its head and of its body, eight bytes each, XXH3-128 of both,
and both. The first one that is torn, or does not fit its hash, ends the file.
"""

from __future__ import annotations

import os
import struct
import time
from collections.abc import Iterator, Sequence
from contextlib import suppress
from pathlib import Path

import xxhash

from subbit.errors import SubbitError
from subbit_formats.sbit.atomic import translated
from subbit_formats.sources.source import naming

__all__ = ["AppendedFile", "refused"]

_MAGIC = b"\x89SBP\r\n\x1a\n"
_FRAME = struct.Struct("<QQ16s")
_SYNC_SECONDS = 1.0
"""So much work a power cut may cost, and the record at hand."""


class AppendedFile:
    """The file, made where there is none; records come and go as (head, body).

    Raises :class:`SubbitError`, kind "resume" for a file that is something else or that another process has open, and
    what the disk refuses.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._synced = time.monotonic()
        with translated(path):
            self._file = os.fdopen(os.open(path, os.O_RDWR | os.O_CREAT, 0o666), "r+b")
        try:
            self._lock()
            with translated(path):
                start = self._file.read(len(_MAGIC))
            if start != _MAGIC[: len(start)]:
                raise refused(path, "is not the work of a stopped compression")
        except BaseException:
            self.close()
            raise

    def records(self) -> Iterator[tuple[int, bytes]]:
        """Place and head of every whole record; what comes after the last of them is cut off."""
        place = len(_MAGIC)
        with translated(self.path):
            while (record := self.read(place)) is not None:
                after = self._file.tell()
                yield place, record[0]
                place = after
            self._file.seek(0)
            self._file.write(_MAGIC)
            self._file.seek(place)
            self._file.truncate()

    def read(self, place: int) -> tuple[bytes, memoryview] | None:
        """The record that starts there; None if there is none."""
        with naming(self.path):
            self._file.seek(place)
            frame = self._file.read(_FRAME.size)
            if len(frame) < _FRAME.size:
                return None
            head, body, expected = _FRAME.unpack(frame)
            if head + body > os.fstat(self._file.fileno()).st_size - self._file.tell():
                return None
            data = memoryview(self._file.read(head + body))
        return (bytes(data[:head]), data[head:]) if xxhash.xxh3_128_digest(data) == expected else None

    def append(self, head: bytes, body: Sequence[memoryview] = ()) -> int:
        """Add a record at the end, and say its place; it survives a kill at once, and a power cut a second later."""
        state = xxhash.xxh3_128(head)
        for part in body:
            state.update(part)
        with translated(self.path):
            place = self._file.seek(0, os.SEEK_END)
            self._file.write(_FRAME.pack(len(head), sum(len(part) for part in body), state.digest()) + head)
            for part in body:
                self._file.write(part)
            self._file.flush()
            if time.monotonic() - self._synced > _SYNC_SECONDS:
                os.fsync(self._file.fileno())
                self._synced = time.monotonic()
        return place

    def close(self) -> None:
        """Close it; others may open it now."""
        with suppress(OSError):
            self._file.close()

    def _lock(self) -> None:
        try:
            import fcntl

            fcntl.flock(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            hint = "wait for it, or choose another output"
            raise SubbitError("another process is writing it", kind="resume", path=self.path, hint=hint) from None
        except (ImportError, OSError):  # a system without locks
            return


def refused(path: Path, text: str) -> SubbitError:
    """The error for work that cannot be taken up."""
    return SubbitError(text, kind="resume", path=path, hint="remove it to start anew")
