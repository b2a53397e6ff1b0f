"""The model of the entropy coder: how often each symbol occurs in each context, in 4096ths."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np

from subbit.bits import costs
from subbit.coders import varints
from subbit.errors import SubbitError
from subbit.records import Buffer

__all__ = ["PRECISION", "Frequencies"]

PRECISION = 12
"""The frequencies of a context sum to 2^12."""
_TOTAL = 1 << PRECISION


@dataclass(frozen=True, eq=False)
class Frequencies:
    """Symbol frequencies, uint16 (contexts, alphabet), at most 256 of either; each row sums to 4096.

    A symbol of frequency f costs 12 - log2 f bits; one of frequency 0 cannot be coded in that context.
    """

    table: np.ndarray

    def __post_init__(self) -> None:
        """Check what the coder's loops rely on; raises :class:`SubbitError` (kind "section")."""
        table = self.table
        if table.ndim != 2 or table.dtype != np.uint16 or not all(1 <= size <= 256 for size in table.shape):
            raise SubbitError(f"no frequency table: {table.dtype} of shape {table.shape}", kind="section")
        if np.any(table.sum(axis=1, dtype=np.int64) != _TOTAL):
            raise SubbitError(f"frequencies of a context do not sum to {_TOTAL}", kind="section")

    @classmethod
    def fit(cls, histograms: np.ndarray) -> Frequencies:
        """Scale counts (contexts, alphabet) to frequencies that code them in nearly the fewest bits.

        Every symbol that occurs gets at least 1; a context without counts gets all on symbol 0. Integers
        only: rounding, then one unit at a time to or from the symbol that gains most or loses least.
        Source: Sainte-Laguë's method; its quotient counts / (f + 1/2) is nearly what one more unit saves.
        """
        counts = np.atleast_2d(np.asarray(histograms, np.int64))
        return cls(np.stack([_apportion(row) for row in counts]))

    def cost(self, histograms: np.ndarray) -> float:
        """Bits that an ideal coder spends on these counts with this table; infinite if it cannot code them.

        Computed in integers to 2^-24 bits a symbol: the same number on every machine.
        """
        counts = np.atleast_2d(np.asarray(histograms, np.int64))
        if np.any(counts[self.table == 0]):
            return float("inf")
        units: list[int] = (counts * costs.prices()[self.table]).sum(axis=1).tolist()
        return sum(units) / costs.UNIT

    def to_bytes(self) -> bytes:
        """As varints: contexts, alphabet, each row until it sums to 4096; n zeros are written 0, n - 1."""
        numbers = list(self.table.shape)
        for row in self.table:
            last = -1
            for symbol in np.flatnonzero(row).tolist():
                if symbol > last + 1:
                    numbers += [0, symbol - last - 2]
                numbers.append(int(row[symbol]))
                last = symbol
        return varints.write(numbers)

    @classmethod
    def from_bytes(cls, data: Buffer, offset: int = 0) -> tuple[Frequencies, int]:
        """Read the table at `offset`; returns it and the offset behind it.

        Raises :class:`SubbitError` (kind "section") for a table that is cut off or does not add up.
        """
        contexts, offset = varints.read(data, offset)
        alphabet, offset = varints.read(data, offset)
        if not (1 <= contexts <= 256 and 1 <= alphabet <= 256):
            raise SubbitError(f"no table has {contexts} contexts of {alphabet} symbols", kind="section")
        table = np.zeros((contexts, alphabet), np.uint16)
        for row in table:
            offset = _read_row(data, offset, row)
        return cls(table), offset

    @cached_property
    def certain(self) -> bool:
        """Whether every context has one symbol only, so that nothing needs to be coded."""
        return bool((self.table.max(axis=1) == _TOTAL).all())

    @cached_property
    def spans(self) -> np.ndarray:
        """For the encoder, uint32 (contexts, alphabet): frequency << 16 | start."""
        spans: np.ndarray = (self.table.astype(np.uint32) << np.uint32(16)) | self._starts
        return spans

    @cached_property
    def slots(self) -> np.ndarray:
        """For the decoder, uint32 (contexts, 4096): symbol << 24 | frequency - 1 << 12 | slot - start."""
        contexts, alphabet = self.table.shape
        symbols = np.arange(alphabet, dtype=np.uint32) << np.uint32(24)
        less_one = self.table.astype(np.uint32) - np.uint32(1)  # wraps for 0, which has no slots
        heads = symbols | less_one << np.uint32(12)
        entries = np.repeat((heads - self._starts).ravel(), self.table.ravel()).reshape(contexts, _TOTAL)
        slots: np.ndarray = entries + np.arange(_TOTAL, dtype=np.uint32)
        return slots

    @property
    def _starts(self) -> np.ndarray:
        starts: np.ndarray = np.cumsum(self.table, axis=1, dtype=np.uint32) - self.table
        return starts


def _apportion(counts: np.ndarray) -> np.ndarray:
    total = int(counts.sum())
    row = np.zeros(counts.size, np.int64)
    if total == 0:
        row[0] = _TOTAL
        return row.astype(np.uint16)
    row[:] = np.maximum((counts * _TOTAL + total // 2) // total, counts > 0)
    scaled = counts << 20
    while (excess := int(row.sum()) - _TOTAL) != 0:
        if excess < 0:
            row[np.argmax(scaled // (2 * row + 1))] += 1
        else:
            losses = scaled // np.maximum(2 * row - 1, 1)
            row[np.argmin(np.where(row > 1, losses, np.iinfo(np.int64).max))] -= 1
    return row.astype(np.uint16)


def _read_row(data: Buffer, offset: int, row: np.ndarray) -> int:
    symbol = total = 0
    while total < _TOTAL:
        frequency, offset = varints.read(data, offset)
        if frequency == 0:
            run, offset = varints.read(data, offset)
            symbol += run + 1
            continue
        total += frequency
        if symbol >= row.size or total > _TOTAL:
            raise SubbitError(f"frequencies of a context do not sum to {_TOTAL}", kind="section")
        row[symbol] = frequency
        symbol += 1
    return offset
