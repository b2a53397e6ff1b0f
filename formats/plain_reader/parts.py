"""What layouts are made of: SPEC.md's chapter "Parts"."""

from __future__ import annotations

import struct
from bisect import bisect_right
from collections import defaultdict
from collections.abc import Iterator, Sequence
from itertools import accumulate, islice
from typing import Any

import numpy as np


def check(holds: bool, otherwise: str) -> None:
    if not holds:
        raise ValueError(otherwise)


def bits(data: bytes, width: int = 1) -> np.ndarray:
    """All numbers of so many bits in a stream of bits."""
    flat = np.unpackbits(np.frombuffer(data, np.uint8), bitorder="little")
    return flat[: flat.size // width * width].reshape(-1, width).astype(int) @ (1 << np.arange(width))


def bit_rows(data: bytes, rows: int, count: int, width: int) -> np.ndarray:
    return np.array([bits(row, width)[:count] for row in np.frombuffer(data, np.uint8).reshape(rows, -1)])


def halves(data: bytes) -> np.ndarray:
    return np.frombuffer(data, "<f4", 1) * np.frombuffer(data, "<f2", offset=4).astype("f4")


def varint(source: Iterator[int]) -> int:
    byte = next(source)
    return byte if byte < 128 else byte - 128 + 128 * varint(source)


class Coder:
    """The states of rANS and the words that refill them."""

    def __init__(self, data: bytes, lanes: int) -> None:
        self.states, self.turn = np.frombuffer(data, "<u4", lanes).tolist(), 0
        self.words = iter(np.frombuffer(data, "<u2", offset=4 * lanes).tolist())

    def slot(self) -> int:
        return self.states[self.turn] % 4096

    def take(self, start: int, end: int) -> None:
        x = (end - start) * (self.states[self.turn] >> 12) + self.slot() - start
        self.states[self.turn] = x if x >= 65536 else x << 16 | next(self.words)
        self.turn = (self.turn + 1) % len(self.states)

    def symbol(self, bounds: Sequence[int]) -> int:
        symbol = bisect_right(bounds, self.slot()) - 1
        self.take(bounds[symbol], bounds[symbol + 1])
        return symbol

    def finish(self) -> None:
        check({*self.states, *self.words} == {65536}, "a coded block is damaged")


def integers(data: bytes, count: int) -> list[int]:
    source = iter(data)
    if next(source) == 0:
        return [varint(source) for _ in range(count)]
    _, _, frequencies = varint(source), varint(source), []  # one context; the size of the alphabet
    while sum(frequencies) < 4096:
        frequency = varint(source)
        frequencies += [frequency] if frequency else [0] * (1 + varint(source))
    coder = Coder(bytes(islice(source, varint(source))), 1 << max(min(count >> 12, 16).bit_length() - 1, 0))
    buckets = [coder.symbol([*accumulate(frequencies, initial=0)]) for _ in range(count)]
    coder.finish()
    raw, found = int.from_bytes(bytes(source), "little"), []
    for octave, bucket in ((max(bucket // 8 - 1, 0), bucket) for bucket in buckets):
        found.append((bucket - 8 * octave << octave) + raw % (1 << octave))
        raw >>= octave
    return found


class Stream:
    """A stream of integers that starts at `at`, which moves to its end."""

    def __init__(self, data: bytes, at: int) -> None:
        (self.x,), self.data, self.at = struct.unpack_from("<I", data, at), data, at + 4

    def numbers(self, count: int) -> np.ndarray:
        seen: dict[Any, list[int]] = defaultdict(lambda: [0, 0])
        return np.array([self.number(seen) for _ in range(count)], int)

    def signed(self, count: int) -> np.ndarray:
        return np.array([-(z + 1 >> 1) if z % 2 else z >> 1 for z in self.numbers(count)], int)

    def number(self, seen: dict[Any, list[int]]) -> int:
        digits, value = 0, 1
        while digits < 32 and self.bit(seen[digits]):
            digits += 1
        for depth in range(digits):
            value = 2 * value + self.bit(seen[digits, value] if depth < 5 else [0, 0])
        return value - 1

    def bit(self, seen: list[int]) -> int:
        p = min(max((2 * seen[1] + 1) * 65536 // (2 * sum(seen) + 2), 32), 65504)
        high, low = divmod(self.x, 65536)
        bit = int(low < p)
        self.x = p * high + low if bit else (65536 - p) * high + low - p
        if self.x < 65536:
            self.x = self.x << 16 | int.from_bytes(self.data[self.at : self.at + 2], "little")
            self.at += 2
        seen[bit] += 1
        return bit
