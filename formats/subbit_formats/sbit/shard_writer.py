"""Write a checkpoint as shards of bounded size; a checkpoint that fits into one becomes one plain file."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

from subbit_formats.errors import SubbitError, UsageError
from subbit_formats.sbit.atomic import refuse_existing, write_whole
from subbit_formats.sbit.header import DIGEST_BYTES, HEADER_BYTES, Header
from subbit_formats.sbit.index import encode
from subbit_formats.sbit.limits import LARGE_ALIGNMENT
from subbit_formats.sbit.replacing import alone, existing, remove_others, settle
from subbit_formats.sbit.rules import broken
from subbit_formats.sbit.shards import INDEX_SUFFIX, SHARD_VERSION, ShardFile, ShardIndex, ShardMetadata, parked
from subbit_formats.sbit.writer import Writer

__all__ = ["ShardedWriter"]

_MARGIN = 256
"""Bounds an index entry less its names and knobs, and the index less its entries and metadata."""


class ShardedWriter:
    """Shards being written, with the interface of :class:`Writer`.

    A new shard starts where the next tensor would take the file over `shard_bytes` (one tensor is
    never split; the extras, all in the first shard, are not counted). The set is published at once
    (see `replacing`): whoever opens its index finds the old set or the new one, whenever this ends.
    """

    def __init__(
        self,
        path: str | os.PathLike[str],
        shard_bytes: int,
        metadata: Mapping[str, str] | None = None,
        *,
        force: bool = False,
    ) -> None:
        self.path = Path(path)
        if shard_bytes <= 0:
            hint = "give it in bytes, as 4000000000"
            raise UsageError("shards need a positive size", kind="shard-bytes", hint=hint)
        if self.path.suffix != ".sbit":
            raise UsageError("shards need a name in .sbit", kind="name", path=path, hint="add .sbit")
        self._limit, self._metadata, self._force = shard_bytes, dict(metadata or {}), force
        self._shards = [Writer(self.path, self._metadata, force=force)]
        self._used = self._empty = HEADER_BYTES + _MARGIN + len(encode(self._metadata))
        self._shard_of: dict[str, int] = {}
        self._last = ""

    def add(
        self,
        name: str,
        *,
        shape: Sequence[int],
        dtype: str,
        codec: str,
        knobs: Mapping[str, Any],
        sections: Mapping[str, Any],
        covered: bool = True,
    ) -> None:
        """Append one tensor, to a new shard where the current one is full."""
        if name <= self._last:
            raise broken("tensor-order", f"comes after {self._last!r}", tensor=name)
        if name in self._shard_of:
            raise broken("alias-name", "an alias has the name of this tensor", tensor=name)
        sizes = [memoryview(section).nbytes for section in sections.values()]
        entry = len(encode((name, codec, knobs, list(shape), list(sections), sizes))) + _MARGIN
        cost = entry + sum(size + LARGE_ALIGNMENT + DIGEST_BYTES for size in sizes)
        if self._used + cost > self._limit and self._used > self._empty:
            self._shards.append(Writer(self.path, self._metadata, force=self._force))
            self._used = self._empty
        self._shards[-1].add(
            name, shape=shape, dtype=dtype, codec=codec, knobs=knobs, sections=sections, covered=covered
        )
        self._used += cost
        self._last = name
        self._shard_of[name] = len(self._shards) - 1

    def alias(self, name: str, target: str) -> None:
        """Say that the tensor `target`, added before, has another name as well (tied weights)."""
        if target not in self._shard_of:
            raise broken("alias-target", f"stands for {target!r}, which was not added before it", tensor=name)
        if name in self._shard_of:
            raise broken("alias-name", "an alias has the name of a tensor or of another alias", tensor=name)
        self._shard_of[name] = self._shard_of[target]
        self._shards[self._shard_of[target]].alias(name, target)

    def extra(self, name: str, data: Any, *, required: bool = False, compress: bool = True) -> None:
        """Keep a file-level section in the first shard."""
        self._shards[0].extra(name, data, required=required, compress=compress)

    def discard(self) -> None:
        """Remove what was written; does nothing once the set is published."""
        for shard in self._shards:
            shard.discard()

    def __enter__(self) -> ShardedWriter:
        return self

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        try:
            if kind is None:
                self._publish()
        except SubbitError as refused:
            refused.at(path=self.path)
            raise
        finally:
            self.discard()

    def _publish(self) -> None:
        headers = [shard.finish() for shard in self._shards]
        if len(headers) == 1:
            self._shards[0].publish()
            return
        stem, count = self.path.stem, len(headers)
        names = [f"{stem}-{number:05}-of-{count:05}.sbit" for number in range(1, count + 1)]
        with alone(self.path.parent):
            for old in existing(self.path):  # somebody may have been faster
                refuse_existing(old, force=self._force)
            try:
                for shard, name, header in zip(self._shards, names, headers, strict=True):
                    shard.park(parked(self.path.with_name(name), header.body_hash.hex()))
                index = self._publish_index(names, headers)
            except BaseException:
                with suppress(OSError):
                    settle(self.path)
                raise
            remove_others(self.path, [index, *(self.path.with_name(name) for name in names)])

    def _publish_index(self, names: list[str], headers: list[Header]) -> Path:
        sizes = [header.file_size for header in headers]
        files = {
            name: ShardFile(size=header.file_size, xxh3=header.body_hash.hex())
            for name, header in zip(names, headers, strict=True)
        }
        metadata = ShardMetadata(format="sbit", total_size=sum(sizes), version=SHARD_VERSION)
        weight_map = {name: names[number] for name, number in self._shard_of.items()}
        path = self.path.with_name(self.path.name + INDEX_SUFFIX)
        write_whole(path, encode(ShardIndex(files, metadata, weight_map)), force=self._force)
        return path
