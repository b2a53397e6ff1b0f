"""What layouts are made of, SPEC.md's chapter "Parts": bits, varints, halves, frequencies, rANS and integers.

Like all of the second reader it shares no line with the library and checks only what keeps it on track.
"""

from __future__ import annotations

import struct
from array import array
from collections.abc import Iterable
from itertools import accumulate

seen: set[str] = set()
"""Which ways the second reader has taken."""


def fields(data: bytes, widths: list[int]) -> list[int]:
    """Integers from a stream of bits."""
    bits = int.from_bytes(data, "little")
    assert len(data) == -(-sum(widths) // 8)
    starts = (end - width for end, width in zip(accumulate(widths), widths, strict=True))
    return [bits >> start & (1 << width) - 1 for start, width in zip(starts, widths, strict=True)]


def f32(values: Iterable[float]) -> array[float]:
    return array("f", values)


def halves(data: bytes, count: int) -> array[float]:
    multiplier, *values = struct.unpack(f"<f{count}e", data)
    return f32(multiplier * value for value in values)


class Cursor:
    def __init__(self, data: bytes) -> None:
        self.data, self.at = data, 0

    def take(self, size: int) -> bytes:
        self.at += size
        assert self.at <= len(self.data)
        return self.data[self.at - size : self.at]

    def varint(self) -> int:
        value = shift = 0
        while (byte := self.take(1)[0]) >= 128:
            value, shift = value | (byte & 127) << shift, shift + 7
        return value | byte << shift

    def blob(self) -> bytes:
        return self.take(self.varint())

    def end(self) -> None:
        assert self.at == len(self.data)

    def frequencies(self) -> list[list[int]]:
        contexts, alphabet = self.varint(), self.varint()
        table = []
        for _ in range(contexts):
            row: list[int] = []
            while sum(row) < 4096:
                frequency = self.varint()
                row += [frequency] if frequency else [0] * (1 + self.varint())
            assert sum(row) == 4096
            table.append(row + [0] * (alphabet - len(row)))
        return table


def rans(data: bytes, count: int, table: list[list[int]], contexts: bytes | None = None) -> bytes:
    lanes = 1
    while lanes < 16 and 2 * lanes * 4096 <= count:
        lanes *= 2
    seen.add(f"{lanes} lanes")
    x = list(struct.unpack_from(f"<{lanes}I", data))
    words = iter(struct.unpack_from(f"<{len(data) // 2 - 2 * lanes}H", data, 4 * lanes))
    slots = [[(s, f, k) for s, f in enumerate(row) for k in range(f)] for row in table]
    symbols = bytearray(count)
    for i in range(count):
        state = x[i % lanes]
        symbols[i], frequency, place = slots[contexts[i] if contexts else 0][state % 4096]
        state = frequency * (state >> 12) + place
        x[i % lanes] = state if state >= 65536 else state << 16 | next(words)
    assert x == [65536] * lanes
    assert next(words, None) is None
    return bytes(symbols)


def integers(data: bytes, count: int) -> list[int]:
    cursor = Cursor(data)
    mode = cursor.take(1)[0]
    seen.add(f"integers, mode {mode}")
    if mode == 0:
        values = [cursor.varint() for _ in range(count)]
        cursor.end()
        return values
    table = cursor.frequencies()
    buckets = rans(cursor.blob(), count, table)
    octaves = [max(q // 8 - 1, 0) for q in buckets]
    raw = fields(data[cursor.at :], octaves)
    return [((q - 8 * o) << o) + r for q, o, r in zip(buckets, octaves, raw, strict=True)]


def numbers(data: bytes, count: int) -> list[int]:
    return [n - 1 for n in accumulate(gap + 1 for gap in integers(data, count))]


class Stream:
    """A stream of integers, from the start of `data`."""

    def __init__(self, data: bytes) -> None:
        (self.x,) = struct.unpack_from("<I", data)
        self.data, self.at = data, 4

    def numbers(self, count: int) -> list[int]:
        seen: dict[tuple[int, ...], list[int]] = {}
        return [self.number(seen) for _ in range(count)]

    def signed(self, count: int) -> list[int]:
        return [-((z + 1) // 2) if z % 2 else z // 2 for z in self.numbers(count)]

    def number(self, seen: dict[tuple[int, ...], list[int]]) -> int:
        digits, found = 0, [1]
        while digits < 32 and self.bit(seen.setdefault((digits,), [0, 0])):
            digits += 1
        for depth in range(digits):
            even = [0, 0]  # forgotten at once: its chance is a half
            place = (digits, *found)
            found.append(self.bit(seen.setdefault(place, [0, 0]) if depth < 5 else even))
        return int("".join(map(str, found)), 2) - 1

    def bit(self, counts: list[int]) -> int:
        zeros, ones = counts
        p = min(max((2 * ones + 1) * 65536 // (2 * (zeros + ones) + 2), 32), 65504)
        t = self.x % 65536
        bit = int(t < p)
        self.x = p * (self.x >> 16) + t if bit else (65536 - p) * (self.x >> 16) + t - p
        if self.x < 65536:
            self.x = self.x << 16 | struct.unpack_from("<H", self.data, self.at)[0]
            self.at += 2
        counts[bit] += 1
        return bit
