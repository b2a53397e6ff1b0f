"""Small unsigned integers as LEB128: seven bits a byte, lowest first, the top bit says that more follow."""

from __future__ import annotations

from collections.abc import Iterable

from subbit.errors import SubbitError
from subbit.records import Buffer

__all__ = ["read", "write"]


def write(values: Iterable[int]) -> bytes:
    """Append the values one behind the other: 1 byte below 128, 2 below 16384 …, 5 below 2^32."""
    out = bytearray()
    for value in values:
        while value >= 0x80:
            out.append(value & 0x7F | 0x80)
            value >>= 7
        out.append(value)
    return bytes(out)


def read(data: Buffer, offset: int) -> tuple[int, int]:
    """The value at `offset` and the offset behind it.

    Raises :class:`SubbitError` (kind "section") where the data end early, the value reaches 2^32 or a
    shorter form exists.
    """
    value = 0
    for shift in range(0, 35, 7):
        if offset + shift // 7 >= len(data):
            raise SubbitError("integer cut off by the end of the section", kind="section")
        byte = int(data[offset + shift // 7])
        value |= (byte & 0x7F) << shift
        if byte < 0x80:
            if value >= 1 << 32 or (byte == 0 and shift):
                break
            return value, offset + shift // 7 + 1
    raise SubbitError("integer is not in its shortest form below 2^32", kind="section")
