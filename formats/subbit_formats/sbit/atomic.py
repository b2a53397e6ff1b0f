"""Files that appear whole or not at all: written under a temporary name, forced to disk, then renamed.

The temporary name is `.{name}.tmp-{pid}-{random}` in the target's folder. What a killed process
left there is removed when the next file of that name is begun.
"""

from __future__ import annotations

import errno
import os
import re
import secrets
import stat
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from subbit_formats.errors import SubbitError, UsageError, out_of_memory

__all__ = ["AtomicFile", "refuse_existing", "sync_folder", "translated", "write_whole"]

_DAY = 24 * 60 * 60
_FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)


class AtomicFile:
    """A file being written that takes its name only in `publish`.

    Raises :class:`SubbitError`, kind ``"disk-full"`` or ``"unwritable"``, for what the disk refuses.
    """

    def __init__(self, path: Path, *, force: bool) -> None:
        self.path, self.force = path, force
        refuse_existing(path, force=force)
        _sweep(path)
        self._temp = path.with_name(f".{path.name}.tmp-{os.getpid()}-{secrets.token_hex(8)}")
        flags = os.O_RDWR | os.O_CREAT | os.O_EXCL | getattr(os, "O_BINARY", 0)
        with translated(path):
            handle = os.open(self._temp, flags, 0o666)
            try:
                self._file = os.fdopen(handle, "w+b", buffering=2**20)
            except BaseException:  # no memory for its buffer; the handle is closed
                self._temp.unlink(missing_ok=True)
                raise

    @property
    def temporary(self) -> Path:
        """Where it lies until it is published, for libraries that write to a path."""
        return self._temp

    def write(self, data: bytes | memoryview, *, at_start: bool = False) -> None:
        """Append the bytes, or overwrite the first ones of the file."""
        with translated(self.path):
            if at_start:
                self._file.seek(0)
            self._file.write(data)

    def sync(self) -> None:
        """Force all that was written to the disk and close the file; it still has its temporary name."""
        with translated(self.path):
            self._file.flush()
            os.fsync(self._file.fileno())
            self._file.close()

    def publish(self, private: Path | None = None) -> None:
        """Give the synced file its name, replacing nothing unless forced; or a `private` one in the same folder."""
        target = private or self.path
        with translated(target):
            if self.force or private is not None:
                self._temp.replace(target)
            else:
                self._publish_new()
            sync_folder(target.parent)

    def _publish_new(self) -> None:
        try:
            os.link(self._temp, self.path)  # unlike a rename, this fails when somebody was faster
        except FileExistsError:
            refuse_existing(self.path, force=False)
        except OSError:  # no hard links on this file system
            refuse_existing(self.path, force=False)
            self._temp.replace(self.path)

    def discard(self) -> None:
        """Remove the temporary name, if there still is one; what was published stays."""
        with suppress(OSError):
            self._file.close()
        with suppress(OSError):
            self._temp.unlink()


def write_whole(path: Path, content: bytes, *, force: bool) -> None:
    """Write a small file whole or not at all; raises what :class:`AtomicFile` does."""
    file = AtomicFile(path, force=force)
    try:
        file.write(content)
        file.sync()
        file.publish()
    finally:
        file.discard()


def refuse_existing(path: Path, *, force: bool) -> None:
    """Raise :class:`UsageError` where something exists already, or (even forced) is no regular file."""
    try:
        mode = path.lstat().st_mode
    except OSError:
        return
    if not (stat.S_ISREG(mode) or stat.S_ISLNK(mode)):
        raise UsageError("is not a regular file", kind="exists", path=path, hint="choose another output")
    if not force:
        hint = "use --force (force=True) to replace it"
        raise UsageError("exists already", kind="exists", path=path, hint=hint)


@contextmanager
def translated(path: Path) -> Iterator[None]:
    """Turn what the system refuses into a :class:`SubbitError` with a way out."""
    try:
        yield
    except OSError as error:
        if error.errno in _FULL:
            raise SubbitError("no space left", kind="disk-full", path=path, hint="free some space") from error
        message = f"cannot be written: {error.strerror}"
        hint = "check that the folder exists and that you may write there"
        raise SubbitError(message, kind="unwritable", path=path, hint=hint) from error
    except MemoryError:
        raise out_of_memory().at(path=path) from None


def sync_folder(folder: Path) -> None:
    """Force the names in a folder to the disk, where the system can do that; raises OSError if the disk fails."""
    if os.name != "posix":  # other systems cannot open folders
        return
    try:
        handle = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(handle)
        finally:
            os.close(handle)
    except OSError as error:
        if error.errno == errno.EIO:  # all else: a file system that cannot; the names are given all the same
            raise


def _sweep(path: Path) -> None:
    pattern = re.compile(re.escape(f".{path.name}.tmp-") + r"(\d{1,9})-[0-9a-f]{16}")
    with suppress(OSError):
        for entry in os.scandir(path.parent):
            match = pattern.fullmatch(entry.name)
            if match and (not _alive(int(match[1])) or time.time() - entry.stat().st_mtime > _DAY):
                with suppress(OSError):
                    os.unlink(entry.path)  # noqa: PTH108


def _alive(pid: int) -> bool:
    if os.name != "posix":  # there, os.kill would end the process
        return True
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except OSError:
        return True
    return True
