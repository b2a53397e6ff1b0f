"""What one `.sbit` file and a set of shards have in common for whoever reads them."""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, TypeVar

from msgspec import Struct

from subbit_formats.dtypes import FLOATS, ITEM_SIZES
from subbit_formats.errors import SubbitError, UsageError

__all__ = ["Archive", "Entry", "Progress"]

_Archive = TypeVar("_Archive", bound="Archive")
Progress = Callable[[int, int], None]
"""Called with (bytes done, bytes in all)."""


class Entry(Struct, frozen=True, kw_only=True, gc=False):
    """One stored tensor: what the index says about it, and what it costs."""

    name: str
    shape: tuple[int, ...]
    dtype: str
    codec: str
    knobs: dict[str, Any]
    covered: bool
    """Whether the bit budget covers this tensor."""
    sections: dict[str, int]
    """Stored bytes by section name, in file order."""
    stored_bytes: int
    """All that it adds to its file: sections, the padding before them, digests, and its index entry."""
    first: int
    """The number of its first section in its file."""
    path: Path
    """The file that holds it: of several shards, one."""
    offset: int
    """Where in that file its sections start."""

    @property
    def weights(self) -> int:
        """How many numbers the tensor holds."""
        return math.prod(self.shape)

    @property
    def bits_per_weight(self) -> float:
        """Stored bits divided by weights; infinite for an empty tensor."""
        return 8 * self.stored_bytes / self.weights if self.weights else math.inf


class Archive(ABC):
    """An open `.sbit` file or set of shards; a context manager.

    `size` counts every byte on disk; `tensors` are the stored ones sorted by name, `aliases` the
    other names of some of them, `extras` the file-level sections with their bytes after decompression, `stored_extras`
    the same as they are stored.
    """

    path: Path
    version: tuple[int, int]
    size: int
    metadata: dict[str, str]
    tensors: Mapping[str, Entry]
    aliases: Mapping[str, str]
    extras: Mapping[str, int]
    stored_extras: Mapping[str, int]

    @abstractmethod
    def section(self, tensor: Entry | str, name: str) -> memoryview:
        """The bytes of one section, read-only and not copied.

        Its checksum and the padding before it are checked the first time. Raises
        :class:`SubbitError` where they are damaged, :class:`UsageError` for unknown names.
        """

    @abstractmethod
    def release(self) -> None:
        """Tell the system that nothing is needed soon: what was read leaves memory, and stays readable."""

    @abstractmethod
    def extra(self, name: str) -> bytes:
        """The content of a file-level section, checked and decompressed."""

    @abstractmethod
    def verify(self, progress: Progress | None = None) -> None:
        """Read every byte; raise :class:`SubbitError` at the first damage, naming tensor and offset."""

    @property
    @abstractmethod
    def files(self) -> tuple[Path, ...]:
        """The files that are open: the one, or the index of a set and its shards in the order of their names."""

    @abstractmethod
    def sha256(self) -> list[tuple[str, int]]:
        """SHA-256, in lower-case hex, and size of each of the files: of the bytes that are mapped, not of a name."""

    @abstractmethod
    def close(self) -> None:
        """Unmap the bytes; sections that are still in use stay valid until they are dropped."""

    @property
    @abstractmethod
    def covered_bytes(self) -> int:
        """Bytes of all that decoding the covered tensors needs, their entries in the codec table included."""

    def entry(self, name: str) -> Entry:
        """The entry of a tensor by its name or by an alias."""
        entry = self.tensors.get(self.aliases.get(name, name))
        if entry is None:
            hint = "`subbit inspect tensors` lists the names"
            raise UsageError(f"there is no tensor {name!r}", kind="unknown-tensor", path=self.path, hint=hint)
        return entry

    def sections(self, tensor: Entry | str) -> dict[str, memoryview]:
        """All sections of a tensor by name."""
        entry = self.entry(tensor) if isinstance(tensor, str) else tensor
        return {name: self.section(entry, name) for name in entry.sections}

    @property
    def weights(self) -> int:
        """How many numbers are stored; tied tensors count once."""
        return sum(entry.weights for entry in self.tensors.values())

    @property
    def bits_per_weight(self) -> float:
        """Every bit on disk divided by every weight."""
        return 8 * self.size / self.weights if self.weights else math.inf

    @property
    def covered_weights(self) -> int:
        """How many numbers the bit budget covers."""
        return sum(entry.weights for entry in self.tensors.values() if entry.covered)

    def decoded_bytes(self, dtype: str | None = None) -> int:
        """Bytes of all tensors, decoded, floats as `dtype` if one is given, and of all extras, as the index states."""
        kinds = (
            (e.weights, dtype if dtype is not None and e.dtype in FLOATS else e.dtype) for e in self.tensors.values()
        )
        return sum(weights * ITEM_SIZES[kind] for weights, kind in kinds) + sum(self.extras.values())

    def check_size(self, max_bytes: int | None, dtype: str | None = None) -> None:
        """Raise :class:`SubbitError` (kind "max-bytes") where :meth:`decoded_bytes` are more; None: never."""
        stated = self.decoded_bytes(dtype)
        if max_bytes is not None and stated > max_bytes:
            message = f"states {stated:,} bytes of weights and extras, {max_bytes:,} are allowed"
            hint = "allow more if you trust the file and have the memory"
            raise SubbitError(message, kind="max-bytes", path=self.path, hint=hint)

    def __enter__(self: _Archive) -> _Archive:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()
