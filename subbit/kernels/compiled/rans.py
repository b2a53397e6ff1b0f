"""Numba form of the interleaved rANS loops; see `plain.rans` for the definition."""

from __future__ import annotations

import numpy as np

from subbit.kernels.compiled.jit import jit

__all__ = ["decode", "encode", "put"]


@jit
def encode(symbols, contexts, spans, states, words):  # type: ignore[no-untyped-def]
    lanes = states.size
    free = words.size
    for i in range(symbols.size - 1, -1, -1):
        span = spans[contexts[i] if contexts.size else np.uint8(0), symbols[i]]
        frequency, start = np.uint32(span >> np.uint32(16)), span & np.uint32(0xFFFF)
        if frequency == 0:
            return -1
        x = states[i & (lanes - 1)]
        if x >= np.uint64(frequency) << np.uint64(20):
            free -= 1
            words[free] = np.uint16(x)
            x >>= np.uint32(16)
        quotient = np.uint32(x // frequency)
        states[i & (lanes - 1)] = (quotient << np.uint32(12)) + (x - quotient * frequency) + start
    return free


@jit
def decode(words, contexts, slots, states, symbols):  # type: ignore[no-untyped-def]
    used = 0
    lanes = states.size
    for step in range(0, symbols.size, lanes):
        for lane in range(min(lanes, symbols.size - step)):
            x = states[lane]
            entry = slots[contexts[step + lane] if contexts.size else np.uint8(0), x & np.uint32(0xFFF)]
            symbols[step + lane] = entry >> np.uint32(24)
            frequency = ((entry >> np.uint32(12)) & np.uint32(0xFFF)) + np.uint32(1)
            x = np.uint32(frequency * (x >> np.uint32(12)) + (entry & np.uint32(0xFFF)))
            if x < np.uint32(0x10000):  # a branch: below one bit a symbol it is rarely taken
                if used == words.size:
                    return -1
                x = (x << np.uint32(16)) | words[used]
                used += 1
            states[lane] = x
    return used


@jit
def put(spans, precision, states, words):  # type: ignore[no-untyped-def]
    lanes = states.size
    free = words.size
    shift = np.uint32(precision)
    for i in range(spans.size - 1, -1, -1):
        start = spans[i] >> np.uint32(16)
        frequency = (spans[i] & np.uint32(0xFFFF)) + np.uint32(1)
        x = states[i & (lanes - 1)]
        if x >= np.uint64(frequency) << np.uint64(32 - precision):
            free -= 1
            words[free] = np.uint16(x)
            x >>= np.uint32(16)
        quotient = np.uint32(x // frequency)
        states[i & (lanes - 1)] = (quotient << shift) + (x - quotient * frequency) + start
    return free
