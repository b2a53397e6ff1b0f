"""A checkpoint in several files: `name-00001-of-00003.sbit` … and the index `name.sbit.index.json`.

Each shard is a whole `.sbit` file. An alias lives in the shard of its target, metadata in every
shard, extras in the first. The index maps names to shards and pins each shard's size and body hash.
"""

from __future__ import annotations

import hashlib
import os
import re
from collections.abc import Collection
from contextlib import suppress
from pathlib import Path

import msgspec
from msgspec import Struct

from subbit_formats.errors import SubbitError, out_of_memory
from subbit_formats.sbit.archive import Archive, Entry, Progress
from subbit_formats.sbit.index import encode
from subbit_formats.sbit.limits import MAX_SHARD_INDEX_BYTES
from subbit_formats.sbit.reader import Reader, map_file
from subbit_formats.sbit.rules import broken
from subbit_formats.sbit.validate import canonical

__all__ = [
    "FOLDER_NAME",
    "INDEX_SUFFIX",
    "SHARD_VERSION",
    "ShardFile",
    "ShardIndex",
    "ShardMetadata",
    "ShardedReader",
    "open_reader",
    "parked",
    "read_index",
]

FOLDER_NAME = "model.sbit"
"""In a folder."""
INDEX_SUFFIX = ".index.json"
SHARD_VERSION = 1
_SHARD_NAME = re.compile(r"[^/\\:\0]{1,250}\.sbit")
_HASH = re.compile(r"[0-9a-f]{32}")


class ShardFile(Struct, frozen=True, forbid_unknown_fields=True):
    """What identifies a shard: its bytes on disk and the body hash of its header, in lower-case hex."""

    size: int
    xxh3: str


class ShardMetadata(Struct, frozen=True, forbid_unknown_fields=True):
    """What the index says about itself; `total_size` is the bytes of all shards."""

    format: str
    total_size: int
    version: int


class ShardIndex(Struct, frozen=True, forbid_unknown_fields=True):
    """The content of `name.sbit.index.json`: canonical JSON, all keys always present."""

    files: dict[str, ShardFile]
    metadata: ShardMetadata
    weight_map: dict[str, str]


class _AnyVersion(Struct):
    class _Metadata(Struct):
        version: int

    metadata: _Metadata


def open_reader(path: str | os.PathLike[str], understood: Collection[str] = ()) -> Archive:
    """Open a `.sbit` file or a shard index; `model.sbit` also finds `model.sbit.index.json`."""
    path = Path(path)
    if path.is_dir():
        path = path / FOLDER_NAME
    if not path.exists() and path.with_name(path.name + INDEX_SUFFIX).exists():
        path = path.with_name(path.name + INDEX_SUFFIX)
    if path.suffix != ".json":
        return Reader(path, understood)
    try:
        return ShardedReader(path, understood)
    except SubbitError as error:
        if error.kind not in ("shard-missing", "shard-mismatch"):
            raise
    return ShardedReader(path, understood)  # once more: a writer may just have replaced the set


def parked(shard: Path, xxh3: str) -> Path:
    """Where a shard with this body hash waits for its name until the index says that the set is the new one."""
    return shard.with_name(f".{shard.name}.{xxh3}")


class ShardedReader(Archive):
    """Several shards as one archive; raises :class:`SubbitError` unless they are those of the index."""

    def __init__(self, path: str | os.PathLike[str], understood: Collection[str] = ()) -> None:
        self.path = Path(path)
        self._shards: dict[str, Reader] = {}
        try:
            size, self._index = read_index(self.path)
            for name, file in sorted(self._index.files.items()):
                self._shards[name] = self._open_shard(name, file, understood)
            self._check_map()
        except SubbitError as error:
            self.close()
            error.at(path=self.path)
            raise
        except MemoryError:
            self.close()
            raise out_of_memory().at(path=self.path) from None
        shards = list(self._shards.values())
        self.version, self.metadata, self.extras = shards[0].version, shards[0].metadata, shards[0].extras
        self.stored_extras = shards[0].stored_extras
        self.size = size + self._index.metadata.total_size
        tensors = (entry for shard in shards for entry in shard.tensors.values())
        self.tensors = {entry.name: entry for entry in sorted(tensors, key=lambda entry: entry.name)}
        self.aliases = {alias: target for shard in shards for alias, target in sorted(shard.aliases.items())}

    @property
    def covered_bytes(self) -> int:
        """Bytes of all that decoding the covered tensors needs, over all shards."""
        return sum(shard.covered_bytes for shard in self._shards.values())

    def section(self, tensor: Entry | str, name: str) -> memoryview:
        """The bytes of one section, from the shard that holds the tensor."""
        entry = self.entry(tensor) if isinstance(tensor, str) else tensor
        return self._shards[self._index.weight_map[entry.name]].section(entry, name)

    def release(self) -> None:
        """Drop the pages of all shards."""
        for shard in self._shards.values():
            shard.release()

    def extra(self, name: str) -> bytes:
        """The content of a file-level section of the first shard."""
        return next(iter(self._shards.values())).extra(name)

    def verify(self, progress: Progress | None = None) -> None:
        """Verify one shard after the other."""
        before = self.size - self._index.metadata.total_size
        for shard in self._shards.values():
            start = before

            def report(done: int, _: int, start: int = start) -> None:
                if progress:
                    progress(start + done, self.size)

            shard.verify(report)
            before += shard.size

    @property
    def files(self) -> tuple[Path, ...]:
        """The index, then the shards in the order of their names."""
        return (self.path, *(shard.path for shard in self._shards.values()))

    def sha256(self) -> list[tuple[str, int]]:
        """SHA-256 and size of the index, which is canonical and so known from what it says, and of each shard."""
        index = encode(self._index)
        hashes = [part for shard in self._shards.values() for part in shard.sha256()]
        return [(hashlib.sha256(index).hexdigest(), len(index)), *hashes]

    def close(self) -> None:
        """Unmap all shards."""
        for shard in self._shards.values():
            shard.close()

    def _open_shard(self, name: str, file: ShardFile, understood: Collection[str]) -> Reader:
        path = self.path.with_name(name)
        if _HASH.fullmatch(file.xxh3) and os.path.exists(parked(path, file.xxh3)):  # noqa: PTH110 - see below
            path = parked(path, file.xxh3)
        if not os.path.exists(path):  # noqa: PTH110 - unlike Path.exists it takes a name that is too long for the system
            raise broken("shard-missing", f"its shard {name!r} is missing")
        shard = Reader(path, understood)
        if (shard.size, shard.body_hash.hex()) != (file.size, file.xxh3):
            shard.close()
            message = f"not the file that {self.path.name!r} was written with"
            raise broken("shard-mismatch", message, path=path)
        return shard

    def _check_map(self) -> None:
        shards = self._shards.items()
        held = [(name, file) for file, shard in shards for name in (*shard.tensors, *shard.aliases)]
        if len(held) != len(self._index.weight_map) or dict(held) != self._index.weight_map:
            name, file = min(set(held) ^ set(self._index.weight_map.items()), default=held[0])
            raise broken("shard-map", f"index and shard {file!r} disagree about this tensor", tensor=name)


def read_index(path: Path) -> tuple[int, ShardIndex]:
    """The size of a shard index and what it says, validated; raises :class:`SubbitError`."""
    data = map_file(path) or b""
    if len(data) > MAX_SHARD_INDEX_BYTES:
        raise broken("shard-index", f"an index of {len(data)} bytes is too large")
    raw = bytes(data)
    with suppress(ValueError, RecursionError):
        version = msgspec.json.decode(raw, type=_AnyVersion).metadata.version
        if version > SHARD_VERSION:
            message = f"shard index version {version} is newer than this reader ({SHARD_VERSION})"
            raise broken("newer-version", message)
    index = canonical(raw, ShardIndex, ("shard-index", "shard-index"))
    for name in index.files:
        if not _SHARD_NAME.fullmatch(name):
            raise broken("shard-name", f"names the shard {name[:80]!r}")
    total = sum(file.size for file in index.files.values())
    metadata = (index.metadata.format, index.metadata.version, index.metadata.total_size)
    if not index.files or metadata != ("sbit", SHARD_VERSION, total):
        raise broken("shard-index", "the index does not describe a set of shards")
    return len(raw), index
