"""The header of a GGUF file: key-values and where each tensor stands, checked before anything is read.

Own parser: the gguf package's reader makes one array for every token of the vocabulary (2.4 s and
150 MB for 49,152 of them) and does not notice a truncated file.
"""

from __future__ import annotations

import math
import struct
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO

from subbit_formats.errors import SubbitError

__all__ = ["GgufHeader", "GgufTensor", "read_header"]

_SCALARS = {0: "B", 1: "b", 2: "H", 3: "h", 4: "I", 5: "i", 6: "f", 7: "?", 10: "Q", 11: "q", 12: "d"}
_STRING, _ARRAY = 8, 9
MAX_DIMENSIONS = 8


@dataclass(frozen=True)
class GgufTensor:
    """Name, shape in NumPy's order (rows first), ggml type number, and offset in the file."""

    name: str
    shape: tuple[int, ...]
    type: int
    offset: int


@dataclass(frozen=True)
class GgufHeader:
    """All key-values (arrays as lists) and all tensors of a file."""

    fields: dict[str, Any]
    tensors: list[GgufTensor]

    def text(self, key: str) -> str:
        """A string, empty where there is none."""
        value = self.fields.get(key)
        return value if isinstance(value, str) else ""

    @property
    def architecture(self) -> str:
        """llama.cpp's name of the model's architecture."""
        return self.text("general.architecture")

    def model(self, key: str, default: Any = None) -> Any:
        """A key-value of the model's own architecture, such as ``block_count`` for llama.block_count."""
        return self.fields.get(f"{self.architecture}.{key}", default)


def read_header(path: Path) -> GgufHeader:
    """Parse the header; raises ``format``, ``truncated`` or ``duplicate``."""
    with path.open("rb") as file:
        cursor = _Cursor(file, path.stat().st_size)
        try:
            return _parse(cursor)
        except UnicodeDecodeError as error:
            raise SubbitError("a string is not UTF-8", kind="format", offset=file.tell()) from error


class _Cursor:
    def __init__(self, file: BinaryIO, size: int) -> None:
        self.file = file
        self.size = size

    def take(self, count: int) -> bytes:
        missing = self.file.tell() + count - self.size
        if missing > 0:  # before reading, so that no count in the file can ask for much memory
            what = f"the header is truncated: {missing} bytes are missing"
            raise SubbitError(what, kind="truncated", offset=self.size)
        return self.file.read(count)

    def numbers(self, code: str, count: int = 1) -> tuple[Any, ...]:
        return struct.unpack(f"<{count}{code}", self.take(count * struct.calcsize(code)))

    def number(self, code: str) -> Any:
        return self.numbers(code)[0]

    def string(self) -> str:
        return self.take(self.number("Q")).decode("utf-8")

    def value(self, kind: int) -> Any:
        if kind == _STRING:
            return self.string()
        if kind in _SCALARS:
            return self.number(_SCALARS[kind])
        if kind != _ARRAY:
            raise SubbitError(f"unknown value type {kind}", kind="format", offset=self.file.tell())
        kind, count = self.number("I"), self.number("Q")
        if kind == _STRING:
            return [self.string() for _ in range(count)]
        if kind in _SCALARS:
            return list(self.numbers(_SCALARS[kind], count))
        raise SubbitError(f"array of unknown value type {kind}", kind="format", offset=self.file.tell())


def _parse(cursor: _Cursor) -> GgufHeader:
    if cursor.take(4) != b"GGUF":
        raise SubbitError("is no GGUF file", kind="format")
    version = cursor.number("I")
    if version not in (2, 3):
        what = "big-endian GGUF" if version & 0xFFFF == 0 else f"GGUF version {version}"
        raise SubbitError(f"{what} cannot be read", kind="format", hint="only 2 and 3, little-endian")
    tensor_count, field_count = cursor.numbers("Q", 2)
    fields: dict[str, Any] = {}
    for _ in range(field_count):
        key = cursor.string()
        if key in fields:
            raise SubbitError(f"key {key!r} is given twice", kind="duplicate")
        fields[key] = cursor.value(cursor.number("I"))
    tensors = [_tensor(cursor) for _ in range(tensor_count)]
    alignment = fields.get("general.alignment", 32)
    if type(alignment) is not int or alignment < 1 or alignment & (alignment - 1):
        raise SubbitError(f"alignment {alignment!r} is no power of two", kind="format")
    start = -(-cursor.file.tell() // alignment) * alignment
    placed = [GgufTensor(t.name, t.shape, t.type, start + t.offset) for t in tensors]
    return GgufHeader(fields, placed)


def _tensor(cursor: _Cursor) -> GgufTensor:
    name, dimensions = cursor.string(), cursor.number("I")
    if dimensions > MAX_DIMENSIONS:
        raise SubbitError(f"{dimensions} dimensions are over the limit", kind="format", tensor=name)
    shape = tuple(reversed(cursor.numbers("Q", dimensions)))
    kind, offset = cursor.number("I"), cursor.number("Q")
    if math.prod(shape) >= 2**63 or max(shape, default=0) >= 2**63:
        raise SubbitError(f"shape {list(shape)} is too large", kind="format", tensor=name)
    return GgufTensor(name, shape, kind, offset)
