"""Write a `.sbit` file in one pass: tensors stream through, the index and the header come last."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

import msgspec
import xxhash

from subbit_formats.errors import SubbitError, UsageError
from subbit_formats.sbit.atomic import AtomicFile, refuse_existing
from subbit_formats.sbit.header import HEADER_BYTES, VERSION, Header, digest
from subbit_formats.sbit.index import CodecRecord, ExtraRecord, Index, TensorRecord, aligned, encode
from subbit_formats.sbit.knobs import check_knobs
from subbit_formats.sbit.limits import MAX_INDEX_BYTES
from subbit_formats.sbit.replacing import alone, existing, remove_others, settle
from subbit_formats.sbit.rules import broken
from subbit_formats.sbit.validate import check_extra, check_index, check_name, check_tensor

__all__ = ["Writer", "packed"]

_ZSTD_LEVEL = 19


class Writer:
    """A `.sbit` file being written: a context manager that publishes on success and else leaves nothing.

    Tensors must be added sorted by name; aliases and extras in any order. The same calls give the
    same bytes. Memory holds the index and the compressed extras, no tensor. Raises
    :class:`SubbitError` for whatever the format or the disk refuses, :class:`UsageError` where the
    output exists, as a file or in shards, and `force` is not set.
    """

    def __init__(
        self, path: str | os.PathLike[str], metadata: Mapping[str, str] | None = None, *, force: bool = False
    ) -> None:
        self.path = Path(path)
        self._metadata = _texts(metadata or {})
        self._aliases: dict[str, str] = {}
        self._codecs: list[CodecRecord] = []
        self._codec_numbers: dict[bytes, int] = {}
        self._tensors: list[TensorRecord] = []
        self._extras: dict[str, tuple[ExtraRecord, memoryview]] = {}
        self._digests: list[bytes] = []
        self._body = xxhash.xxh3_128()
        self._end = HEADER_BYTES
        self._index_bytes = len(encode(self._metadata))
        with suppress(OSError), alone(self.path.parent):
            settle(self.path)  # what a killed writer left
        for old in existing(self.path):
            refuse_existing(old, force=force)
        self._file = AtomicFile(self.path, force=force)
        self._file.write(bytes(HEADER_BYTES))

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
        """Append one tensor; `sections` are named buffers, `covered` says that the bit budget counts it."""
        if self._tensors and name <= self._tensors[-1].name:
            raise broken("tensor-order", f"comes after {self._tensors[-1].name!r}", tensor=name)
        parts = {part: _flat(buffer, name) for part, buffer in sections.items()}
        coded, key = _codec(codec, knobs, name)
        record = TensorRecord(
            codec=self._codec_numbers.get(key, len(self._codecs)),
            covered=bool(covered),
            dtype=dtype,
            name=name,
            sections=tuple((part, len(buffer)) for part, buffer in parts.items()),
            shape=tuple(int(size) for size in shape),
        )
        check_tensor(record)
        self._count(record)
        self._tensors.append(record)
        if record.codec == len(self._codecs):
            self._codecs.append(coded)
            self._codec_numbers[key] = record.codec
            self._index_bytes += len(key) + 1
        for buffer in parts.values():
            self._section(buffer)

    def alias(self, name: str, target: str) -> None:
        """Say that the tensor `target` has another name as well (tied weights)."""
        check_name(name, "an alias")
        if name in self._aliases:
            raise UsageError("this alias is given twice", kind="alias-name", tensor=name)
        self._aliases[name] = target

    def extra(self, name: str, data: Any, *, required: bool = False, compress: bool = True) -> None:
        """Keep a file-level section (a configuration, a tokenizer); compressed where that makes it smaller.

        Readers that do not know the name skip it, or refuse the file where it is `required`.
        """
        raw = _flat(data, name)
        stored, raw_size = packed(raw) if compress else (raw, None)
        record = ExtraRecord(name=name, raw_size=raw_size, required=required, size=len(stored))
        check_extra(record, {name})
        if name in self._extras:
            raise broken("extra-order", f"the extra {name!r} is given twice")
        self._count(record)
        self._extras[name] = record, memoryview(bytes(stored))

    def finish(self) -> Header:
        """Write extras, index, digests and header and force them to disk; the file still has no name."""
        extras = [self._extras[name] for name in sorted(self._extras)]
        index = Index(
            aliases=self._aliases,
            codecs=tuple(self._codecs) or (),  # keys are left out where they hold this very tuple, and Python 3.10 has
            extras=tuple(record for record, _ in extras) or (),  # more empty ones than one
            metadata=self._metadata,
            tensors=tuple(self._tensors) or (),
        )
        check_index(index, self._extras)
        for _, data in extras:
            self._section(data)
        raw = encode(index)
        if len(raw) > MAX_INDEX_BYTES:
            raise broken("index-size", f"the index would have {len(raw)} bytes")
        offset, tail = aligned(self._end, 1), raw + b"".join(self._digests)
        self._append(bytes(offset - self._end))
        self._append(memoryview(tail))
        hashes = digest(tail), self._body.digest()
        header = Header(*VERSION, 0, self._end, offset, len(raw), len(self._digests), *hashes, bytes(32))
        self._file.write(header.pack(), at_start=True)
        self._file.sync()
        return header

    def publish(self) -> None:
        """Give the finished file its name; what stood there before, a file or a set of shards, is gone afterwards."""
        with alone(self.path.parent):
            self._file.publish()
            remove_others(self.path, [self.path])

    def park(self, name: Path) -> None:
        """Give the finished file a private name in its folder, for :class:`ShardedWriter`."""
        self._file.publish(name)

    def discard(self) -> None:
        """Remove what was written; does nothing once the file is published."""
        self._file.discard()

    def __enter__(self) -> Writer:
        return self

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        try:
            if kind is None:
                self.finish()
                self.publish()
        except SubbitError as refused:
            refused.at(path=self.path)
            raise
        finally:
            self.discard()

    def _count(self, record: TensorRecord | ExtraRecord) -> None:
        self._index_bytes += len(encode(record)) + 1
        if self._index_bytes > MAX_INDEX_BYTES:
            raise broken("index-size", "the index would become too large")

    def _section(self, data: memoryview) -> None:
        self._append(bytes(aligned(self._end, len(data)) - self._end))
        self._append(data)
        self._digests.append(digest(data))

    def _append(self, data: bytes | memoryview) -> None:
        self._file.write(data)
        self._body.update(data)
        self._end += len(data)


def packed(raw: bytes | memoryview) -> tuple[memoryview, int | None]:
    """An extra as it is stored: compressed, and its size before that, or as it is where that is no larger."""
    import zstandard

    small = zstandard.ZstdCompressor(level=_ZSTD_LEVEL).compress(raw)
    return (memoryview(small), len(raw)) if len(small) < len(raw) else (memoryview(raw), None)


def _codec(id_: str, knobs: Mapping[str, Any], tensor: str) -> tuple[CodecRecord, bytes]:
    record = CodecRecord(id=id_, knobs=dict(knobs))
    try:
        check_name(id_, "a codec")
        check_knobs(record)
    except SubbitError as error:
        error.at(tensor=tensor)
        raise
    return record, encode(record)


def _flat(data: Any, name: str) -> memoryview:
    view = memoryview(data)
    if not view.nbytes:
        return memoryview(b"")
    if not view.c_contiguous:
        hint = "pass a contiguous buffer"
        raise SubbitError("a section is not contiguous", kind="section", tensor=name, hint=hint)
    return view.cast("B")


def _texts(metadata: Mapping[str, str]) -> dict[str, str]:
    try:
        texts = msgspec.convert(dict(metadata), dict[str, str])
        encode(texts)
    except ValueError as error:  # wrong type, or text that is not UTF-8
        message = f"metadata must be text: {error}"
        raise UsageError(message, kind="metadata", hint="turn keys and values into str") from error
    return texts
