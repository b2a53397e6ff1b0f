"""One `.sbit` file, mapped into memory: opening reads header and index, sections are read when asked for."""

from __future__ import annotations

import errno
import hashlib
import mmap
import os
import stat
from collections.abc import Collection
from contextlib import suppress
from pathlib import Path

import xxhash

from subbit_formats.errors import SubbitError, UsageError, out_of_memory
from subbit_formats.sbit.archive import Archive, Entry, Progress
from subbit_formats.sbit.header import DIGEST_BYTES, HEADER_BYTES, digest
from subbit_formats.sbit.index import encode
from subbit_formats.sbit.rules import broken
from subbit_formats.sbit.validate import Contents, check_digest, check_padding, decompress, validate

__all__ = ["Reader", "map_file"]

_CHUNK = 16 * 2**20


class Reader(Archive):
    """An open `.sbit` file; raises :class:`SubbitError` for everything that `validate` refuses.

    `understood` names the required extras that the caller knows how to use.
    """

    def __init__(self, path: str | os.PathLike[str], understood: Collection[str] = ()) -> None:
        self.path = Path(path)
        self._map = map_file(self.path)
        self._view: memoryview | None = memoryview(self._map) if self._map else memoryview(b"")
        try:
            self._contents = validate(self._view, understood)
            self.tensors = _entries(self._contents, self.path)
        except SubbitError as error:
            self.close()
            error.at(path=self.path)
            raise
        except MemoryError:
            self.close()
            raise out_of_memory().at(path=self.path) from None
        header, index = self._contents.header, self._contents.index
        self.version, self.size = (header.major, header.minor), header.file_size
        self.metadata, self.aliases = index.metadata, index.aliases
        self.extras = {extra.name: extra.size if extra.raw_size is None else extra.raw_size for extra in index.extras}
        self.stored_extras = {extra.name: extra.size for extra in index.extras}
        self._verified: set[int] = set()

    @property
    def body_hash(self) -> bytes:
        """The checksum of all bytes after the header, as the header states it."""
        return self._contents.header.body_hash

    @property
    def covered_bytes(self) -> int:
        """Bytes of all that decoding the covered tensors needs, their entries in the codec table included."""
        index = self._contents.index
        codecs = {tensor.codec for tensor in index.tensors if tensor.covered}
        table = sum(len(encode(index.codecs[number])) + 1 for number in codecs)
        return table + sum(entry.stored_bytes for entry in self.tensors.values() if entry.covered)

    def section(self, tensor: Entry | str, name: str) -> memoryview:
        """The bytes of one section, read-only and not copied; its checksum is checked the first time."""
        entry = self.entry(tensor) if isinstance(tensor, str) else tensor
        if name not in entry.sections:
            message, hint = f"no section {name!r}", f"it has: {', '.join(entry.sections)}"
            raise UsageError(message, kind="unknown-section", path=self.path, tensor=entry.name, hint=hint)
        number = entry.first + list(entry.sections).index(name)
        return self._checked(number, f"section {name!r}", entry.name)

    def release(self) -> None:
        """Drop all pages of the map; does nothing where the system has no such call."""
        if self._map is not None and hasattr(mmap, "MADV_DONTNEED"):
            self._map.madvise(mmap.MADV_DONTNEED)

    def extra(self, name: str) -> bytes:
        """The content of a file-level section, checked and decompressed."""
        if name not in self.extras:
            hint = f"it has: {', '.join(self.extras) or 'none'}"
            raise UsageError(f"there is no extra {name!r}", kind="unknown-extra", path=self.path, hint=hint)
        position = list(self.extras).index(name)
        number = len(self._contents.spans) - len(self.extras) + position
        stored = self._checked(number, f"extra {name!r}", None)
        try:
            return decompress(self._contents.index.extras[position], stored)
        except SubbitError as error:
            error.at(path=self.path, offset=self._contents.spans[number][0])
            raise
        except MemoryError:
            raise out_of_memory().at(path=self.path, offset=self._contents.spans[number][0]) from None

    def verify(self, progress: Progress | None = None) -> None:
        """Read every byte; raise :class:`SubbitError` at the first damage, naming tensor and offset."""
        body = xxhash.xxh3_128()
        done = HEADER_BYTES

        def read(start: int, end: int) -> bytes:
            nonlocal done
            part = xxhash.xxh3_128()
            for at in range(start, end, _CHUNK):
                chunk = self._open_view()[at : min(at + _CHUNK, end)]
                part.update(chunk)
                body.update(chunk)
                done += len(chunk)
                if progress:
                    progress(done, self.size)
            return part.digest()

        for number, (what, tensor) in enumerate(self._labels()):
            start, end = self._contents.spans[number]
            before = self._end_before(number)
            try:
                check_padding(self._open_view(), before, start)
                read(before, start)
                check_digest(read(start, end), self._contents.digests, number, what, start)
            except SubbitError as error:
                error.at(path=self.path, tensor=tensor)
                raise
        read(self._end_before(len(self._contents.spans)), self.size)
        if body.digest() != self.body_hash:
            message = "the file does not match its checksum"
            raise broken("body-checksum", message, path=self.path, offset=HEADER_BYTES)
        for name in self.extras:
            self.extra(name)

    @property
    def files(self) -> tuple[Path, ...]:
        """The file."""
        return (self.path,)

    def sha256(self) -> list[tuple[str, int]]:
        """Its SHA-256 and size."""
        found = hashlib.sha256()
        for at in range(0, self.size, _CHUNK):
            found.update(self._open_view()[at : at + _CHUNK])
        return [(found.hexdigest(), self.size)]

    def close(self) -> None:
        """Unmap the file; sections that are still in use stay valid until they are dropped."""
        self._view = None
        if self._map is not None:
            with suppress(BufferError):  # then the last section in use frees the map
                self._map.close()
            self._map = None

    def _open_view(self) -> memoryview:
        view = self._view
        if view is None:
            hint = "read inside the with-block"
            raise UsageError("the file is closed", kind="closed", path=self.path, hint=hint)
        return view

    def _labels(self) -> list[tuple[str, str | None]]:
        entries = self.tensors.values()
        sections = [(f"section {name!r}", entry.name) for entry in entries for name in entry.sections]
        return [*sections, *((f"extra {name!r}", None) for name in self.extras)]

    def _end_before(self, number: int) -> int:
        return self._contents.spans[number - 1][1] if number else HEADER_BYTES

    def _checked(self, number: int, what: str, tensor: str | None) -> memoryview:
        start, end = self._contents.spans[number]
        section = self._open_view()[start:end]
        if number not in self._verified:
            try:
                check_padding(self._open_view(), self._end_before(number), start)
                check_digest(digest(section), self._contents.digests, number, what, start)
            except SubbitError as error:
                error.at(path=self.path, tensor=tensor)
                raise
            self._verified.add(number)
        return section


def _entries(contents: Contents, path: Path) -> dict[str, Entry]:
    entries = {}
    number, before = 0, HEADER_BYTES
    for tensor in contents.index.tensors:
        codec = contents.index.codecs[tensor.codec]
        end = contents.spans[number + len(tensor.sections) - 1][1] if tensor.sections else before
        entries[tensor.name] = Entry(
            name=tensor.name,
            shape=tensor.shape,
            dtype=tensor.dtype,
            codec=codec.id,
            knobs=codec.knobs,
            covered=tensor.covered,
            sections=dict(tensor.sections),
            stored_bytes=end - before + DIGEST_BYTES * len(tensor.sections) + len(encode(tensor)) + 1,
            first=number,
            path=path,
            offset=contents.spans[number][0] if tensor.sections else before,
        )
        number, before = number + len(tensor.sections), end
    return entries


def map_file(path: Path) -> mmap.mmap | None:
    """The bytes of a file, read-only; None for an empty one, which cannot be mapped."""
    try:
        if not stat.S_ISREG(path.stat().st_mode):
            hint = "name a .sbit file or a .sbit.index.json"
            raise SubbitError("is not a regular file", kind="unreadable", path=path, hint=hint)
        with path.open("rb") as file:
            if os.fstat(file.fileno()).st_size == 0:
                return None
            return mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)
    except FileNotFoundError as error:
        message = "there is no such file"
        raise SubbitError(message, kind="missing", path=path, hint="check the name") from error
    except (OSError, ValueError) as error:  # ValueError: NUL in the name, or emptied meanwhile
        if getattr(error, "errno", None) == errno.ENOMEM:
            raise out_of_memory().at(path=path) from None
        reason = getattr(error, "strerror", None) or error
        hint = "check that you may read it"
        raise SubbitError(f"cannot be read: {reason}", kind="unreadable", path=path, hint=hint) from error
