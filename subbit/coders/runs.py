"""Quantized weights to bytes and back: one symbol is a run of zeros and the weight that ends it.

The tables of symbols follow in integers from the model of levels: where most weights are zero, a symbol stands for
many weights; where few are, for one. So a decoder takes about two steps for every weight that is not zero.

Stored for a block of rows: L states (uint32), then 16-bit words in the order the decoder reads them. Costs what
:meth:`Levels.cost` says and the signs, within about .1 %, plus some 3 bytes a lane.
Source of the coder: Duda, "Asymmetric numeral systems" (2013), arXiv:1311.2540.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from subbit.coders.levels import ONE, Levels
from subbit.errors import SubbitError
from subbit.kernels import kernel
from subbit.kernels.outputs import raw
from subbit.records import Buffer

__all__ = ["LONGEST", "Field", "Runs", "Tables", "decode", "encode", "lanes_for"]

LONGEST = 64
"""Zeros in a run at most."""
_TOTAL = 1 << 12
_INITIAL = 1 << 16
_ALPHABET = 256
_LEAST = ONE >> 3  # a run is at most so long that it happens to be all zeros with this probability
_OWN = ONE >> 9  # levels up to the last of this probability have symbols of their own
_ESCAPE = 128  # added to the run of a symbol whose level follows as a second symbol


@dataclass(frozen=True)
class Field:
    """Contexts of weights: that of (i, j) is clip(((rows[i] + columns[j]) >> 1) - base, 0, contexts - 1).

    Columns are visited in the order of falling codes, so that a row is a few segments of one context each.
    """

    rows: np.ndarray  # int32
    columns: np.ndarray  # int32
    base: int
    contexts: int
    order: np.ndarray  # int32: columns as they are visited
    above: np.ndarray  # int64: how many columns have a code of at least 0, 1, 2 …

    @classmethod
    def of(cls, rows: np.ndarray, columns: np.ndarray, base: int, contexts: int) -> Field:
        """From codes ≥ 0 of rows and columns; without contexts, the order is that of the columns."""
        codes = columns if contexts > 1 else np.zeros_like(columns)
        counts = np.bincount(codes, minlength=1)
        above = np.ascontiguousarray(np.cumsum(counts[::-1])[::-1])
        return cls(rows, codes, base, contexts, np.argsort(-codes, kind="stable").astype(np.int32), above)

    def take(self, part: slice) -> Field:
        """The same for a block of rows."""
        return replace(self, rows=self.rows[part])


@dataclass(frozen=True)
class Runs:
    """Symbols of every context: run × width + which of the levels that have one; the last is a run without end.

    A row of `bounds` cumulates the 4096 slots; `starts[c, r]` is the first slot of runs of r zeros or more.
    """

    longest: np.ndarray  # int64 (contexts,)
    own: np.ndarray  # int64 (contexts,): signed levels that have symbols of their own
    widths: np.ndarray  # int64 (contexts,): these, and 1 for an escape where there are more
    bounds: np.ndarray  # uint32 (contexts, 257)
    starts: np.ndarray  # uint32 (contexts, 65)
    tails: np.ndarray  # uint32 (contexts, 257): bounds of the levels behind an escape

    @classmethod
    def of(cls, levels: Levels, signed: bool) -> Runs:
        """Derive the tables, in integers."""
        count = len(levels.codes)
        longest, own, widths = np.zeros((3, count), np.int64)
        bounds, tails = np.full((2, count, _ALPHABET + 1), _TOTAL, np.uint32)
        found = cls(longest, own, widths, bounds, np.full((count, LONGEST + 1), _TOTAL, np.uint32), tails)
        for context, chances in enumerate(levels.chances):
            found._derive(context, chances, 2 if signed else 1)
        return found

    def _derive(self, context: int, chances: np.ndarray, signs: int) -> None:
        common = np.flatnonzero(chances[1:] >= _OWN)
        last = int(common[-1]) + 1 if common.size else 0
        rare = int(chances[last + 1 :].sum())
        width = signs * last + (rare > 0)
        powers = [ONE]
        while len(powers) <= LONGEST:
            powers.append(powers[-1] * int(chances[0]) >> 30)
        longest = 1
        while 2 * longest <= LONGEST and 2 * longest * width < _ALPHABET and powers[2 * longest] >= _LEAST:
            longest *= 2
        ends = np.append(np.repeat(chances[1 : last + 1], signs) // signs, np.full(int(rare > 0), rare))
        possible = np.append(np.repeat(chances[1 : last + 1] > 0, signs), np.full(int(rare > 0), True))
        shares = np.maximum(np.array(powers[:longest])[:, None] * ends >> 30, 1) * possible
        zeros = max(powers[longest], 1) if chances[0] else 0
        bounds = _bounds(np.append(shares.ravel(), zeros))
        self.longest[context], self.own[context], self.widths[context] = longest, signs * last, width
        self.bounds[context, : bounds.size] = bounds
        self.starts[context, : longest + 1] = bounds[np.arange(longest + 1) * width]
        if rare:
            tail = _bounds(np.repeat(chances[last + 1 :], signs))
            self.tails[context, : tail.size] = tail

    @property
    def certain(self) -> bool:
        """Whether every context has one symbol only, so that nothing needs to be coded."""
        return bool((np.diff(self.bounds.astype(np.int64), axis=1).max(axis=1) == _TOTAL).all())

    def slots(self) -> tuple[np.ndarray, np.ndarray]:
        """For the decoder, uint32 (contexts, 4096), then that of tails: symbol << 24 | frequency - 1 << 12 | place."""
        return _slots(self.bounds), _slots(self.tails)

    def skips(self) -> np.ndarray:
        """For the decoder, uint8 (contexts, 256): zeros of a symbol, and 128 where its level follows."""
        symbols = np.arange(_ALPHABET)
        widths = np.maximum(self.widths, 1)[:, None]
        runs = np.where(self.widths[:, None] > 0, symbols // widths, np.where(symbols, LONGEST, self.longest[:, None]))
        escapes = (symbols % widths == self.own[:, None]) & (runs < self.longest[:, None]) & (self.widths[:, None] > 0)
        skips: np.ndarray = (np.minimum(runs, LONGEST) + _ESCAPE * escapes).astype(np.uint8)
        return skips

    def values(self, table: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Spread float32 (contexts, levels with sign) over symbols and tails, (contexts, 256) twice."""
        common, rare = np.zeros((2, len(table), _ALPHABET), np.float32)
        for context, row in enumerate(table):
            own, width = int(self.own[context]), int(self.widths[context])
            if width:
                ends = np.zeros(width, np.float32)
                ends[:own] = row[1 : own + 1]
                common[context, : width * int(self.longest[context])] = np.tile(ends, int(self.longest[context]))
            common[context, width * int(self.longest[context])] = row[0]  # where the decoder stops within a run
            rare[context, : row.size - own - 1] = row[own + 1 :]
        return common, rare


def lanes_for(weights: int) -> int:
    """How many states share a block: 4 from 2^17 weights on, which keeps several steps in flight; else 1."""
    return 4 if weights >= 1 << 17 else 1


def encode(symbols: np.ndarray, runs: Runs, field: Field) -> bytes:
    """Code a block of uint8 (rows, columns): 0, or a level's 2·level - 1 (or level) and 2·level for its negative.

    Raises :class:`SubbitError` (kind "symbols") for a level that the model says does not occur.
    """
    spans = np.empty(2 * symbols.size, np.uint32)
    count = kernel("runs").spans(
        symbols, field.order, field.above, field.rows, field.columns, field.base, runs.longest, runs.own, runs.widths,
        runs.bounds, runs.starts, runs.tails, spans,
    )  # fmt: skip
    if count < 0:
        raise SubbitError("a level has probability 0 in its context", kind="symbols")
    states, words = np.full(lanes_for(symbols.size), _INITIAL, np.uint32), np.empty(count, np.uint16)
    first = kernel("rans").put(spans[:count], 12, states, words)
    return states.astype("<u4").tobytes() + words[first:].astype("<u2").tobytes()


@dataclass(frozen=True)
class Tables:
    """What the decoder looks up; see :class:`Runs`."""

    longest: np.ndarray
    starts: np.ndarray
    slots: np.ndarray
    skips: np.ndarray
    values: np.ndarray
    tail_slots: np.ndarray
    tail_values: np.ndarray
    zeros: np.ndarray

    @classmethod
    def of(cls, runs: Runs, table: np.ndarray) -> Tables:
        """From symbols to values: `table` is float32 (contexts, levels with sign)."""
        (slots, tail_slots), (values, tail_values) = runs.slots(), runs.values(table)
        zeros = np.ascontiguousarray(table[:, 0])
        return cls(runs.longest, runs.starts, slots, runs.skips(), values, tail_slots, tail_values, zeros)


def decode(
    data: Buffer | None, tables: Tables, field: Field, row_steps: np.ndarray, column_steps: np.ndarray, out: np.ndarray,
    stream: bool = False,
) -> None:  # fmt: skip
    """Fill `out` with value × (row step × column step), as float32 or rounded from it to float16 or bfloat16.

    No data mean that the tables leave nothing to tell.

    Raises :class:`SubbitError` (kind "section") unless the data end exactly where the weights do.
    """
    lanes = lanes_for(out.size)
    if data is None:
        data = np.full(lanes, _INITIAL, "<u4").tobytes()
    stored = np.frombuffer(data, np.uint8)
    if stored.size < 4 * lanes or stored.size % 2:
        raise SubbitError(f"{stored.size} bytes are no block of {out.size} weights", kind="section")
    states = stored[: 4 * lanes].copy().view("<u4").astype(np.uint32)
    if int(states.min()) < _INITIAL:
        raise SubbitError("a coder state is out of range", kind="section")
    words = np.zeros((stored.size - 4 * lanes) // 2 + 2, np.uint16)  # two more, where a damaged block may read
    words[:-2] = stored[4 * lanes :].copy().view("<u2")
    used = kernel("runs").decode(
        words, states, field.order, field.above, field.rows, field.columns, field.base, tables.longest, tables.starts,
        tables.slots, tables.skips, tables.values, tables.tail_slots, tables.tail_values, tables.zeros, row_steps,
        column_steps, *raw(out), stream,
    )  # fmt: skip
    if used != words.size - 2 or np.any(states != _INITIAL):
        raise SubbitError(f"the data do not end with the last of {out.size} weights", kind="section")


def _bounds(shares: np.ndarray) -> np.ndarray:
    """Cumulated slots: one for each that is not 0, the rest in proportion."""
    possible = np.concatenate([np.zeros(1, np.int64), np.cumsum(shares > 0)])
    cumulated = np.concatenate([np.zeros(1, np.int64), np.cumsum(shares)])
    found: np.ndarray = cumulated * (_TOTAL - possible[-1]) // max(int(cumulated[-1]), 1) + possible
    return found


def _slots(bounds: np.ndarray) -> np.ndarray:
    contexts = len(bounds)
    frequencies = np.diff(bounds, axis=1).astype(np.int64)
    frequencies[:, 0] += bounds[:, 0]
    symbols = np.arange(_ALPHABET, dtype=np.uint32) << np.uint32(24)
    heads = symbols | (frequencies.astype(np.uint32) - np.uint32(1)) << np.uint32(12)
    starts = np.cumsum(frequencies, axis=1) - frequencies
    entries = np.repeat((heads - starts.astype(np.uint32)).ravel(), frequencies.ravel()).reshape(contexts, _TOTAL)
    slots: np.ndarray = entries + np.arange(_TOTAL, dtype=np.uint32)
    return slots
