"""Interleaved range-variant asymmetric numeral systems (rANS): the two loops over symbols.

L states of 32 bits, each in [2^16, 2^32) between symbols, share one sequence of 16-bit words; symbol i
belongs to state i mod L (L a power of two). A symbol with frequency f of 4096 and cumulative start b takes
x to (x // f)·4096 + x mod f + b, after the low word of x was put out where x ≥ f·2^20. Decoding undoes
that in the opposite order, so the encoder runs from the last symbol to the first.
Source: Duda, "Asymmetric numeral systems" (2013), arXiv:1311.2540; Giesen, "Interleaved entropy coders"
(2014), arXiv:1402.3392.

These are loops over Python integers: with at most 16 lanes, NumPy steps over all lanes take twice as long.
"""

from __future__ import annotations

import numpy as np

__all__ = ["decode", "encode", "put"]


def encode(symbols: np.ndarray, contexts: np.ndarray, spans: np.ndarray, states: np.ndarray, words: np.ndarray) -> int:
    """Fill uint16 `words` from its end and update uint32 `states`; returns the index of the first word.

    `spans` is uint32 (contexts, alphabet): frequency << 16 | start. Empty `contexts` mean context 0
    throughout. `words` holds at least one word a symbol. A symbol of frequency 0 makes it -1, and then
    `states` and `words` are worth nothing.
    """
    lanes, free = states.size, words.size
    x, put = states.tolist(), []
    coded = spans[contexts if contexts.size else 0, symbols].tolist()
    for i in range(symbols.size - 1, -1, -1):
        frequency, start = coded[i] >> 16, coded[i] & 0xFFFF
        if frequency == 0:
            return -1
        state = x[i & (lanes - 1)]
        if state >= frequency << 20:
            put.append(state & 0xFFFF)
            state >>= 16
        quotient, remainder = divmod(state, frequency)
        x[i & (lanes - 1)] = (quotient << 12) + remainder + start
    free -= len(put)
    words[free:] = put[::-1]
    states[:] = x
    return free


def decode(words: np.ndarray, contexts: np.ndarray, slots: np.ndarray, states: np.ndarray, symbols: np.ndarray) -> int:
    """Fill uint8 `symbols` and update `states`; returns how many words were read, -1 if there are too few.

    `slots` is uint32 (contexts, 4096): symbol << 24 | frequency - 1 << 12 | slot - start. After -1
    `states` and `symbols` are worth nothing.
    """
    used, lanes = 0, states.size
    x, source, rows = states.tolist(), words.tolist(), slots.tolist()
    context_of = contexts.tobytes() or bytes(symbols.size)
    decoded = bytearray(symbols.size)
    for i in range(symbols.size):
        state = x[i & (lanes - 1)]
        entry = rows[context_of[i]][state & 0xFFF]
        decoded[i] = entry >> 24
        state = ((entry >> 12 & 0xFFF) + 1) * (state >> 12) + (entry & 0xFFF)
        if state < 0x10000:
            if used == len(source):
                return -1
            state = state << 16 | source[used]
            used += 1
        x[i & (lanes - 1)] = state
    symbols[:] = np.frombuffer(decoded, np.uint8)
    states[:] = x
    return used


def put(spans: np.ndarray, precision: int, states: np.ndarray, words: np.ndarray) -> int:
    """Code spans of 2^precision, uint32 start << 16 | frequency - 1, span i with state i mod L.

    Fills uint16 `words` from its end and updates uint32 `states`; returns the index of the first word.
    """
    lanes, free = states.size, words.size
    x, found = states.tolist(), []
    for i, span in reversed(list(enumerate(spans.tolist()))):
        start, frequency = span >> 16, (span & 0xFFFF) + 1
        state = x[i & (lanes - 1)]
        if state >= frequency << (32 - precision):
            found.append(state & 0xFFFF)
            state >>= 16
        quotient, remainder = divmod(state, frequency)
        x[i & (lanes - 1)] = (quotient << precision) + remainder + start
    free -= len(found)
    words[free:] = found[::-1]
    states[:] = x
    return free
