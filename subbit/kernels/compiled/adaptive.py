"""Numba form of adaptive integers; see `plain.adaptive` for the definition."""

from __future__ import annotations

import numpy as np

from subbit.kernels.compiled.jit import jit

__all__ = ["decode", "encode"]


@jit
def _chance(zeros, ones):  # type: ignore[no-untyped-def]
    return np.uint32(min(max(((2 * ones + 1) << 16) // (2 * (zeros + ones) + 2), 32), 65504))


@jit
def _span(chance, bit):  # type: ignore[no-untyped-def]
    if bit:
        return chance - np.uint32(1)
    return (chance << np.uint32(16)) | (np.uint32(65535) - chance)


@jit
def encode(values, counts, spans):  # type: ignore[no-untyped-def]
    count = 0
    for value in values:
        number = value + 1
        digits = 0
        while number >> (digits + 1):
            digits += 1
        for place in range(min(digits + 1, 32)):
            bit = int(place < digits)
            spans[count] = _span(_chance(counts[place, 0, 0], counts[place, 0, 1]), bit)
            counts[place, 0, bit] += 1
            count += 1
        node = 1
        for depth in range(digits):
            bit = (number >> (digits - 1 - depth)) & 1
            chance = np.uint32(1 << 15)
            if depth < 5:
                chance = _chance(counts[digits, node, 0], counts[digits, node, 1])
                counts[digits, node, bit] += 1
                node = 2 * node + bit
            spans[count] = _span(chance, bit)
            count += 1
    return count


@jit
def _take(words, state, chance):  # type: ignore[no-untyped-def]
    x = state[0]
    slot = x & np.uint32(0xFFFF)
    bit = 1 if slot < chance else 0
    if bit:
        x = np.uint32(chance * (x >> np.uint32(16)) + slot)
    else:
        x = np.uint32((np.uint32(65536) - chance) * (x >> np.uint32(16)) + slot - chance)
    if x < np.uint32(0x10000):
        used = np.int64(state[1])
        word = np.uint32(words[used]) if used < words.size else np.uint32(0)
        x = np.uint32((x << np.uint32(16)) | word)
        state[1] += np.uint32(1)
    state[0] = x
    return bit


@jit
def decode(words, state, counts, values):  # type: ignore[no-untyped-def]
    for index in range(values.size):
        digits = 0
        while digits < 32:
            bit = _take(words, state, _chance(counts[digits, 0, 0], counts[digits, 0, 1]))
            counts[digits, 0, bit] += 1
            if bit == 0:
                break
            digits += 1
        number = np.int64(1)
        node = 1
        for depth in range(digits):
            if depth < 5:
                bit = _take(words, state, _chance(counts[digits, node, 0], counts[digits, node, 1]))
                counts[digits, node, bit] += 1
                node = 2 * node + bit
            else:
                bit = _take(words, state, np.uint32(1 << 15))
            number = 2 * number + bit
        values[index] = number - 1
