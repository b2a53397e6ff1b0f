"""Integers of a few bits as one contiguous stream of bits, and signs as 64-bit words; lowest bit first."""

from __future__ import annotations

import numpy as np

from subbit.errors import SubbitError
from subbit.records import Buffer

__all__ = [
    "pack", "pack_fields", "pack_signs", "packed_size", "popcount", "unpack", "unpack_fields", "unpack_signs",
]  # fmt: skip


def packed_size(count: int, width: int) -> int:
    """Bytes that `count` integers of `width` bits take; a :class:`SubbitError` unless width is 1 … 16."""
    if not 1 <= width <= 16:
        raise SubbitError(f"width {width} is not in 1 … 16", kind="section")
    return (count * width + 7) // 8


def pack(values: np.ndarray, width: int) -> np.ndarray:
    """Write integers below 2^width one behind the other as uint8; the last byte is filled with 0.

    Raises :class:`SubbitError` (kind "symbols") for a value that does not fit.
    """
    values = np.asarray(values).reshape(-1)
    size = packed_size(values.size, width)
    if values.size and (int(values.min()) < 0 or int(values.max()) >> width):
        raise SubbitError(f"a value does not fit into {width} bits", kind="symbols")
    if width == 8:
        return values.astype(np.uint8)
    octets = np.zeros((-(-values.size // 8), 8), np.uint16)
    octets.reshape(-1)[: values.size] = values
    packed = np.zeros((octets.shape[0], width + 2), np.uint8)
    for place in range(8):  # eight values fill `width` whole bytes; each touches at most three of them
        byte, shift = divmod(place * width, 8)
        bits = octets[:, place].astype(np.uint32) << np.uint32(shift)
        for spill in range(3):
            packed[:, byte + spill] |= (bits >> np.uint32(8 * spill)).astype(np.uint8)
    return np.ascontiguousarray(packed[:, :width]).reshape(-1)[:size]


def unpack(data: Buffer, count: int, width: int) -> np.ndarray:
    """Read back `count` integers of `width` bits as uint16.

    Raises :class:`SubbitError` (kind "section") for data of another length or a last byte not filled with 0.
    """
    packed_size(count, width)
    stored = _checked(data, count * width)
    if width == 8:
        return stored.astype(np.uint16)
    octets = np.zeros((-(-count // 8), width + 2), np.uint8)
    whole = stored.size // width
    octets[:whole, :width] = stored[: whole * width].reshape(whole, width)
    if whole < octets.shape[0]:
        octets[whole, : stored.size - whole * width] = stored[whole * width :]
    values = np.empty((octets.shape[0], 8), np.uint16)
    for place in range(8):
        byte, shift = divmod(place * width, 8)
        bits = octets[:, byte].astype(np.uint32)
        for spill in (1, 2):
            if 8 * spill < shift + width:
                bits |= octets[:, byte + spill].astype(np.uint32) << np.uint32(8 * spill)
        values[:, place] = (bits >> np.uint32(shift)) & np.uint32((1 << width) - 1)
    return values.reshape(-1)[:count]


def pack_fields(values: np.ndarray, widths: np.ndarray) -> np.ndarray:
    """Write the low `widths[i]` (0 … 32) bits of each `values[i]`, one behind the other as uint8."""
    starts = np.cumsum(widths, dtype=np.int64) - widths
    bits = np.zeros(int(widths.sum()), np.uint8)
    for place in range(int(widths.max(initial=0))):
        reach = widths > place
        bits[starts[reach] + place] = (values[reach] >> place) & 1
    return np.packbits(bits, bitorder="little")


def unpack_fields(data: Buffer, widths: np.ndarray) -> np.ndarray:
    """Read back integers of `widths[i]` (0 … 32) bits as int64; raises as :func:`unpack` does."""
    ends = np.cumsum(widths, dtype=np.int64)
    stored = np.concatenate([_checked(data, int(ends[-1]) if ends.size else 0), np.zeros(5, np.uint8)])
    byte, shift = np.divmod(ends - widths, 8)
    bits = np.zeros(widths.size, np.int64)
    for place in range(5):
        bits |= stored[byte + place].astype(np.int64) << (8 * place)
    values: np.ndarray = (bits >> shift) & ((1 << widths.astype(np.int64)) - 1)
    return values


def pack_signs(matrix: np.ndarray) -> np.ndarray:
    """Sign bits of a float matrix, or a bool matrix itself, as uint64 (rows, ⌈cols / 64⌉): 1 is negative.

    Column j is bit j mod 64 of word j // 64; bits past the last column are 0. -0.0 counts as negative.
    """
    negative = matrix if matrix.dtype == bool else np.signbit(matrix)
    rows, cols = negative.shape
    packed = np.zeros((rows, 8 * -(-cols // 64)), np.uint8)
    packed[:, : -(-cols // 8)] = np.packbits(negative, axis=1, bitorder="little")
    return packed.view("<u8").astype(np.uint64, copy=False)


def unpack_signs(words: np.ndarray, cols: int) -> np.ndarray:
    """The bool matrix (rows, cols) behind :func:`pack_signs`: True is negative."""
    packed = np.ascontiguousarray(words, "<u8").view(np.uint8)
    return np.unpackbits(packed, axis=1, count=cols, bitorder="little").view(bool)


def popcount(words: np.ndarray) -> int:
    """How many bits are 1 in all words together."""
    return int(np.count_nonzero(np.unpackbits(np.ascontiguousarray(words).reshape(-1).view(np.uint8))))


def _checked(data: Buffer, bits: int) -> np.ndarray:
    stored = np.frombuffer(data, np.uint8)
    if stored.size != packed_size(bits, 1):
        raise SubbitError(f"{stored.size} bytes where {bits} bits are due", kind="section")
    if bits % 8 and int(stored[-1]) >> bits % 8:
        raise SubbitError("bits behind the last integer are not 0", kind="section")
    return stored
