"""A `.safetensors` file: the header is checked whole, tensors are read one at a time.

Own parser, because the library's NumPy loader knows neither bfloat16 nor float8 and its torch
loader needs torch. Layout: uint64 header length, JSON header, then the tensors without holes.
"""

from __future__ import annotations

import math
from functools import partial
from pathlib import Path
from typing import Any, BinaryIO

from subbit_formats.dtypes import ITEM_SIZES
from subbit_formats.errors import SubbitError
from subbit_formats.sources.source import Array, Source, SourceTensor, naming, read_range, typed
from subbit_formats.sources.strict_json import parse_object

__all__ = ["DTYPES", "MAX_HEADER_BYTES", "open_safetensors"]

DTYPES = {
    "F64": "float64", "F32": "float32", "F16": "float16", "BF16": "bfloat16",
    "F8_E4M3": "float8_e4m3fn", "F8_E5M2": "float8_e5m2",
    "F8_E4M3FNUZ": "float8_e4m3fnuz", "F8_E5M2FNUZ": "float8_e5m2fnuz", "F8_E8M0": "float8_e8m0fnu",
    "I64": "int64", "I32": "int32", "I16": "int16", "I8": "int8",
    "U64": "uint64", "U32": "uint32", "U16": "uint16", "U8": "uint8",
    "BOOL": "bool", "C64": "complex64",
}  # fmt: skip
"""safetensors' names of the element types and ours; its sub-byte types (F4, F6) have no array type."""

MAX_HEADER_BYTES = 100_000_000  # the safetensors library's own limit
MAX_DIMENSIONS = 32  # what every supported NumPy can hold


def open_safetensors(path: Path) -> Source:
    """Check the header of one file and list its tensors.

    Raises ``format`` (header, offsets, holes, overlaps, sizes), ``dtype``, ``duplicate`` or
    ``truncated``. Names that the metadata maps to another tensor, as safetensors.torch.save_model
    writes them for tied weights, become aliases.
    """
    size = path.stat().st_size
    with path.open("rb") as file:
        header, start = _read_header(file, size)
    metadata = _metadata(header.pop("__metadata__", {}))
    ranges: list[tuple[int, int, str]] = []
    tensors = []
    for name, entry in header.items():
        with naming(tensor=name):
            dtype, shape, (begin, end) = _entry(name, entry)
        ranges.append((begin, end, name))
        fetch = partial(_fetch, path, start + begin, end - begin, dtype, shape)
        tensors.append(SourceTensor(name, shape, dtype, fetch, path))
    _check_ranges(ranges, start, size)
    aliases = {name: held for name, held in metadata.items() if held in header and name not in header}
    metadata = {key: value for key, value in metadata.items() if key not in aliases}
    return Source(path, "safetensors", tensors, metadata=metadata, aliases=aliases)


def _fetch(path: Path, offset: int, nbytes: int, dtype: str, shape: tuple[int, ...]) -> Array:
    return typed(read_range(path, offset, nbytes), dtype, shape)


def _read_header(file: BinaryIO, size: int) -> tuple[dict[str, Any], int]:
    """The parsed header and the offset where tensor data begins."""
    if size < 8:
        raise SubbitError(f"{size} bytes are too few for a safetensors header", kind="truncated")
    length = int.from_bytes(file.read(8), "little")
    if length > MAX_HEADER_BYTES:
        raise SubbitError(f"header length {length} is over the limit of {MAX_HEADER_BYTES}", kind="format")
    data = file.read(length)
    if len(data) < length:
        what = f"the file is truncated: {length - len(data)} bytes of the header are missing"
        raise SubbitError(what, kind="truncated", offset=size)
    return parse_object(data, "the safetensors header"), 8 + length


def _metadata(value: Any) -> dict[str, str]:
    if not isinstance(value, dict) or not all(isinstance(text, str) for text in value.values()):
        raise SubbitError("__metadata__ must map strings to strings", kind="format")
    return value


def _entry(name: str, entry: Any) -> tuple[str, tuple[int, ...], tuple[int, int]]:
    """Canonical type, shape and byte range of one header entry, which must agree with each other."""
    try:
        name.encode("utf-8")
        dtype, shape, (begin, end) = entry["dtype"], tuple(entry["shape"]), entry["data_offsets"]
    except (KeyError, TypeError, ValueError) as error:
        raise SubbitError("header entry is malformed", kind="format") from error
    if not all(type(number) is int and 0 <= number < 2**63 for number in (*shape, begin, end)):
        raise SubbitError(f"shape {list(shape)} or byte range {begin}-{end} is invalid", kind="format")
    if len(shape) > MAX_DIMENSIONS:
        raise SubbitError(f"{len(shape)} dimensions are over the limit of {MAX_DIMENSIONS}", kind="format")
    if not isinstance(dtype, str) or dtype not in DTYPES:
        hint = f"known: {', '.join(DTYPES)}"
        raise SubbitError(f"unknown element type {dtype!r}", kind="dtype", hint=hint)
    expected = math.prod(shape) * ITEM_SIZES[DTYPES[dtype]]
    if end - begin != expected:
        what = f"shape {list(shape)} of {dtype} needs {expected} bytes, not the {end - begin} of its range"
        raise SubbitError(what, kind="format")
    return DTYPES[dtype], shape, (begin, end)


def _check_ranges(ranges: list[tuple[int, int, str]], start: int, size: int) -> None:
    """Tensors must follow each other without hole or overlap and fill the file to its end."""
    position = 0
    for begin, end, name in sorted(ranges):
        if begin != position:
            what = "overlaps the tensor before it" if begin < position else "leaves a hole before it"
            raise SubbitError(what, kind="format", tensor=name, offset=start + begin)
        position = end
    if start + position > size:
        missing = start + position - size
        what = f"the file is truncated: {missing} of {start + position} bytes are missing"
        raise SubbitError(what, kind="truncated", offset=size, hint="copy or download the file again")
    if start + position < size:
        extra = size - start - position
        raise SubbitError(f"{extra} bytes follow the last tensor", kind="format", offset=start + position)
