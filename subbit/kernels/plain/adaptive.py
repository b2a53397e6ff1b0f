"""Non-negative integers as bits of adaptive probability, and those bits as the spans that an entropy coder takes.

A value v becomes the number e of binary digits of v + 1 below its leading one, in unary (e ones and a zero; 32 ones
need none), and those digits, highest first. Every bit of the unary part has statistics of its own, and so has each
of the first five digits, given those before it; later digits are even. A bit that was seen `zeros` and `ones` times is
a one with (2·ones + 1) / (2·(zeros + ones) + 2) of 65536, rounded down, but at least 32 and at most 65504.
Source of the estimate: Krichevsky and Trofimov, "The performance of universal encoding" (1981).
"""

from __future__ import annotations

import numpy as np

__all__ = ["decode", "encode"]

_HALF = 1 << 15


def encode(values: np.ndarray, counts: np.ndarray, spans: np.ndarray) -> int:
    """Write the span of every bit, start << 16 | frequency - 1, and return their number.

    `counts` is int64 (33, 32, 2), zeros and ones seen: [t, 0] for bit t of the unary part, [e, node] for digits.
    """
    count = 0
    for value in values.tolist():
        number = value + 1
        digits = number.bit_length() - 1
        for place in range(min(digits + 1, 32)):
            spans[count] = _span(counts[place, 0], int(place < digits))
            count += 1
        node = 1
        for depth in range(digits):
            bit = number >> (digits - 1 - depth) & 1
            if depth < 5:
                spans[count] = _span(counts[digits, node], bit)
                node = 2 * node + bit
            else:
                spans[count] = (0 if bit else _HALF) << 16 | (_HALF - 1)
            count += 1
    return count


def decode(words: np.ndarray, state: np.ndarray, counts: np.ndarray, values: np.ndarray) -> None:
    """Fill int64 `values`; uint32 `state` is the coder's and how many words it has taken.

    More words taken than there are means that the data were cut off; then `values` are worth nothing.
    """
    reader = _Reader(words, state)
    for index in range(values.size):
        digits = 0
        while digits < 32 and reader.bit(counts[digits, 0]):
            digits += 1
        number = node = 1
        for depth in range(digits):
            bit = reader.bit(counts[digits, node]) if depth < 5 else reader.even()
            node = 2 * node + bit if depth < 4 else node
            number = 2 * number + bit
        values[index] = number - 1
    state[:] = reader.x, reader.used


def _chance(seen: np.ndarray) -> int:
    zeros, ones = int(seen[0]), int(seen[1])
    return min(max(((2 * ones + 1) << 16) // (2 * (zeros + ones) + 2), 32), 65504)


def _span(seen: np.ndarray, bit: int) -> int:
    chance = _chance(seen)
    seen[bit] += 1
    return chance - 1 if bit else chance << 16 | (65535 - chance)


class _Reader:
    def __init__(self, words: np.ndarray, state: np.ndarray) -> None:
        self.words, (self.x, self.used) = words, state.tolist()

    def bit(self, seen: np.ndarray) -> int:
        bit = self._take(_chance(seen))
        seen[bit] += 1
        return bit

    def even(self) -> int:
        return self._take(_HALF)

    def _take(self, chance: int) -> int:
        slot = self.x & 0xFFFF
        bit = int(slot < chance)
        frequency, start = (chance, 0) if bit else (65536 - chance, chance)
        self.x = frequency * (self.x >> 16) + slot - start
        if self.x < 1 << 16:
            word = int(self.words[self.used]) if self.used < self.words.size else 0
            self.x = self.x << 16 | word
            self.used += 1
        return bit
