"""Lossless: every bit of any tensor, byte planes behind one zstd frame."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from subbit.codecs.base import stored_knobs
from subbit.codecs.blocks import output_for
from subbit.codecs.sections import section_bytes
from subbit.errors import SubbitError
from subbit.records import Encoded, Shape
from subbit_formats.dtypes import FLOATS, ITEM_SIZES, dtype_name, numpy_dtype

__all__ = ["Dense", "copy_exact"]

_RAW, _PLANES = 0, 1
_PIECE = 1 << 16  # bytes of a frame that are decompressed at once
_LEVEL = 1  # on mantissas higher levels find false matches: they are slower and 2 % larger


@dataclass(frozen=True)
class Dense:
    """Every bit as it is: any shape (0-d, empty), any element type, NaN payloads included.

    The section is one mode byte and then either the items (mode 0) or, where that is shorter, a zstd
    frame over their byte planes: the lowest byte of every item, then the next (mode 1). Signs and
    exponents compress, mantissas hardly: about 27 of 32 and 11 of 16 (bfloat16) bits a trained weight.
    The frame states its size, which is checked before decoding.
    """

    id: ClassVar[str] = "dense"
    section_names: ClassVar[frozenset[str]] = frozenset({"data"})

    def bits(self, shape: Shape, dtype: str = "float32") -> int:
        """The items as they are and the mode byte."""
        return 8 * (1 + math.prod(shape) * ITEM_SIZES[dtype])

    def encode(self, weight: np.ndarray, importance: np.ndarray | None = None) -> Encoded:
        """Split into byte planes and compress; `importance` changes nothing, there are no errors."""
        dtype = dtype_name(weight.dtype)
        items = np.ascontiguousarray(weight, numpy_dtype(dtype)).reshape(-1).view(np.uint8)
        data = bytes([_RAW]) + items.tobytes()
        if items.size:
            import zstandard

            planes = np.empty(items.size, np.uint8)
            _split(items, planes, ITEM_SIZES[dtype])
            frame = zstandard.ZstdCompressor(level=_LEVEL, write_content_size=True).compress(planes.data)
            if len(frame) < items.size:
                data = bytes([_PLANES]) + frame
        return Encoded(self.id, stored_knobs(self), weight.shape, dtype, {"data": data})

    def decode(self, encoded: Encoded, out: np.ndarray | None = None) -> np.ndarray:
        """The exact bits, or where `out` has another floating type each value rounded once."""
        target = output_for(encoded, out)
        dtype = numpy_dtype(encoded.dtype)
        if target.dtype == dtype:
            _fill(target.reshape(-1).view(np.uint8), section_bytes(encoded.sections, "data"), dtype.itemsize)
            return target
        exact = np.empty(encoded.shape, dtype)
        _fill(exact.reshape(-1).view(np.uint8), section_bytes(encoded.sections, "data"), dtype.itemsize)
        return copy_exact(exact, target)


def copy_exact(values: np.ndarray, target: np.ndarray) -> np.ndarray:
    """Write values of any type into `target`, which is returned: bit for bit, or floats rounded once to its type.

    Raises :class:`SubbitError` (kind "out") where the types differ and one of them is no float.
    """
    if target.dtype == values.dtype:
        target.reshape(-1).view(np.uint8)[:] = np.ascontiguousarray(values).reshape(-1).view(np.uint8)
        return target
    if not {dtype_name(values.dtype), dtype_name(target.dtype)} <= FLOATS:
        raise SubbitError(f"a {values.dtype} tensor cannot be decoded into {target.dtype}", kind="out")
    with np.errstate(over="ignore", invalid="ignore"):
        target[...] = _to_odd(values) if values.dtype == np.float64 and target.dtype != np.float32 else values
    return target


def _split(items: np.ndarray, planes: np.ndarray, size: int) -> None:
    for k, plane in enumerate(planes.reshape(size, -1)):
        plane[:] = items[k::size]


def _fill(items: np.ndarray, stored: np.ndarray, size: int) -> None:
    """Write the bytes of a section into `items`, whose length says how many there must be."""
    mode, body = stored[:1].tobytes(), stored[1:]
    if mode == bytes([_RAW]) and body.size == items.size:
        items[:] = body
    elif mode == bytes([_PLANES]) and items.size:
        planes = items.reshape(-1, size).T
        at = 0
        for piece in _decompressed(body.data, items.size):
            at = _put(piece, planes, at)
    else:
        message = f"{body.size} bytes in mode {mode!r} do not make {items.size} bytes of items"
        raise SubbitError(message, kind="section")


def _put(piece: bytes, planes: np.ndarray, at: int) -> int:
    """Write the next bytes of all planes, one after the other, from place `at` on; returns where they end."""
    left = np.frombuffer(piece, np.uint8)
    while left.size:
        plane, place = divmod(at, planes.shape[1])
        part = left[: planes.shape[1] - place]
        planes[plane, place : place + part.size] = part
        left, at = left[part.size :], at + part.size
    return at


def _decompressed(frame: memoryview, size: int) -> Iterator[bytes]:
    """The `size` bytes of one frame, piece by piece, so that little memory is needed."""
    import zstandard

    try:
        # A frame that states its size decodes to that size whatever limit is given: compare first.
        stated = zstandard.frame_content_size(frame)
        if stated != size:
            raise SubbitError(f"a zstd frame of {stated} bytes where {size} are due", kind="section")
        stream, found = zstandard.ZstdDecompressor().decompressobj(), 0
        for start in range(0, len(frame), _PIECE):
            piece = stream.decompress(frame[start : start + _PIECE])
            found += len(piece)
            if found > size:
                break
            yield piece
        whole = found == size and stream.eof and not stream.unused_data
    except zstandard.ZstdError as error:
        raise SubbitError(f"damaged zstd frame: {error}", kind="section") from None
    if not whole:
        raise SubbitError(f"a zstd frame does not end where its {size} bytes do", kind="section")


def _to_odd(values: np.ndarray) -> np.ndarray:
    """float32 with inexact values made odd, so that rounding again to 16 bits is as good as rounding once.

    Source: Boldo and Melquiond, "Emulation of FMA and correctly rounded sums" (2008), rounding to odd.
    """
    single = values.astype(np.float32)
    bits = single.view(np.uint32)
    bits -= (np.abs(single.astype(np.float64)) > np.abs(values)).astype(np.uint32)
    bits |= (single.astype(np.float64) != values) & np.isfinite(values)
    return single
