"""Rows of quantized weights as symbols, each a run of zeros and the weight that ends it; see `coders.runs`.

A row visits its columns in `order`, which is that of falling `column_codes`, and so falls into segments of one context
c = clip(((row_codes[i] + column_codes[j]) >> 1) - base, 0, contexts - 1). A segment is coded on its own: where
fewer than longest[c] weights are left in it, a run that reaches its end is one symbol with all slots of longer runs.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from subbit.kernels.plain.finish import finish

__all__ = ["decode", "spans"]


def spans(
    symbols: np.ndarray, order: np.ndarray, above: np.ndarray, row_codes: np.ndarray, column_codes: np.ndarray,
    base: int, longest: np.ndarray, own: np.ndarray, widths: np.ndarray, bounds: np.ndarray, starts: np.ndarray,
    tails: np.ndarray, out: np.ndarray,
) -> int:  # fmt: skip
    """Write the span of 4096 slots of every symbol, start << 16 | frequency - 1; returns their number.

    `symbols` is uint8 (rows, columns). -1 where a symbol has no slots.
    """
    found: list[int] = []
    visited = symbols[:, order]
    for i in range(len(symbols)):
        for c, begin, end in _segments(int(row_codes[i]), column_codes[order], above, base, longest.size):
            row, pos, limit = visited[i], begin, int(longest[c])
            ends = np.append(np.flatnonzero(row[begin:end]) + begin, end).tolist()
            for stop in ends:
                while stop - pos >= limit or (stop == end and pos < end):
                    run = min(limit, stop - pos)
                    found.append(int(starts[c, run]) << 16 | 4095 - int(starts[c, run]))
                    pos += run
                if stop < end:
                    symbol, last = int(row[stop]) - 1, int(own[c])
                    _append(found, bounds[c], (stop - pos) * int(widths[c]) + min(symbol, last))
                    if symbol >= last:
                        _append(found, tails[c], symbol - last)
                    pos = stop + 1
    out[: len(found)] = [max(span, 0) for span in found]
    return -1 if -1 in found else len(found)


def decode(
    words: np.ndarray, states: np.ndarray, order: np.ndarray, above: np.ndarray, row_codes: np.ndarray,
    column_codes: np.ndarray, base: int, longest: np.ndarray, starts: np.ndarray, slots: np.ndarray,
    skips: np.ndarray, values: np.ndarray, tail_slots: np.ndarray, tail_values: np.ndarray, zeros: np.ndarray,
    row_steps: np.ndarray, column_steps: np.ndarray, out: np.ndarray, kind: int, stream: bool,
) -> int:  # fmt: skip
    """Fill `out` with value × (row step × column step), as :func:`finish` does, and update uint32 `states`.

    Returns how many words were read; one more than there are (`words` ends with two that do not count) where the
    data end too early, and then `out` is worth nothing.
    """
    coder = _Decoder(words, states)
    codes, in_steps = column_codes[order], np.empty((row_steps.size, column_steps.size), np.float32)
    for i in range(len(in_steps)):
        row = np.empty(column_steps.size, np.float32)
        for c, begin, end in _segments(int(row_codes[i]), codes, above, base, longest.size):
            row[begin:end] = zeros[c]
            pos = begin
            while pos < end:
                limit = min(int(longest[c]), end - pos)
                symbol = coder.symbol(slots[c])
                skip = int(skips[c, symbol])
                if skip & 127 >= limit:
                    coder.ran(int(starts[c, limit]))
                    pos += limit
                    continue
                coder.take()
                pos += skip & 127
                row[pos] = values[c, symbol]
                if skip & 128:
                    row[pos] = tail_values[c, coder.symbol(tail_slots[c])]
                    coder.take()
                pos += 1
        in_steps[i, order] = row
    with np.errstate(over="ignore", under="ignore"):
        found = in_steps * (row_steps[:, None] * column_steps[None, :])
    finish(found, np.empty((0, 0), np.uint64), out, kind, stream)
    return coder.finish()


def _segments(
    row_code: int, codes: np.ndarray, above: np.ndarray, base: int, contexts: int
) -> Iterator[tuple[int, int, int]]:
    """Contexts of a row with where their columns begin and end."""
    pos = 0
    while pos < codes.size:
        c = min(max(((row_code + int(codes[pos])) >> 1) - base, 0), contexts - 1)
        end = int(above[max(2 * (c + base) - row_code, 0)]) if c else codes.size
        yield c, pos, end
        pos = end


def _append(found: list[int], bounds: np.ndarray, symbol: int) -> None:
    start, stop = int(bounds[symbol]), int(bounds[symbol + 1])
    found.append(start << 16 | stop - start - 1 if stop > start else -1)


class _Decoder:
    def __init__(self, words: np.ndarray, states: np.ndarray) -> None:
        self.words, self.states, self.x = words.tolist(), states, states.tolist()
        self.used = self.lane = self.entry = 0

    def symbol(self, slots: np.ndarray) -> int:
        """The symbol that the next state stands at; :meth:`take` or :meth:`ran` moves on."""
        self.entry = int(slots[self.x[self.lane] & 4095])
        return self.entry >> 24

    def take(self) -> None:
        self._move((self.entry >> 12 & 4095) + 1, self.entry & 4095)

    def ran(self, start: int) -> None:
        self._move(4096 - start, (self.x[self.lane] & 4095) - start)

    def _move(self, frequency: int, place: int) -> None:
        state = frequency * (self.x[self.lane] >> 12) + place
        if state < 1 << 16:
            state = state << 16 | self.words[self.used]
            self.used = min(self.used + 1, len(self.words) - 1)
        self.x[self.lane] = state
        self.lane = (self.lane + 1) % len(self.x)

    def finish(self) -> int:
        self.states[:] = self.x
        return self.used
