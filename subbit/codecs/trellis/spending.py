"""The largest offset of rates that a budget allows, and what walks at such rates would lose."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from subbit.codecs.trellis.classes import HIGHEST, UNIT, Classes, half_octaves, rates_of
from subbit.codecs.trellis.model import tile_rows
from subbit.coders.adaptive import stored_size

__all__ = ["Allotment", "Codes", "Option", "lost"]

_HALF = UNIT // 2
_MANY, _FEW = 63, 3  # offsets that are tried at once

Codes = tuple[np.ndarray, np.ndarray]


@dataclass(frozen=True)
class Allotment:
    """Classes, the bytes that codes and walks take, and the share of the energy that ideal walks lose."""

    classes: Classes
    size: int
    predicted: float


@dataclass(frozen=True, eq=False)
class Option:
    """Scale codes, and rate codes or one rate for all (None), for any budget."""

    scales: Codes
    rates: Codes | None

    def within(self, budget: int) -> Allotment:
        """The largest offset whose codes and walks fit into so many bytes, or else the lowest."""
        low, high = self._range
        room, tiles = budget - self._side, len(self._starts)
        most = _largest(lambda offsets: self._bytes(-(-self._total(offsets) // UNIT)), low, high, room, _MANY)
        least = _largest(lambda offsets: self._bytes(self._total(offsets) // UNIT + tiles), low, most, room, _MANY)
        offset = _largest(self._size, least, most, room, _FEW)
        size = self._side + int(self._size(np.array([offset]))[0])
        return Allotment(Classes(self.scales, self.rates, offset), size, self._predicted(offset))

    @cached_property
    def _range(self) -> tuple[int, int]:
        if self.rates is None:
            return 0, HIGHEST
        return -(UNIT // 4) * int(self.rates[0].max() + self.rates[1].max()), HIGHEST

    @cached_property
    def _side(self) -> int:
        """Bytes of all codes."""
        own = () if self.rates is None or self.rates is self.scales else self.rates
        return stored_size(np.array([2 * max(-self._range[0], self._range[1])]), *self.scales, *own)

    @cached_property
    def _starts(self) -> np.ndarray:
        """The first row of every tile."""
        rows, cols = (part.size for part in self.scales)
        return np.arange(0, rows, tile_rows(cols))

    @cached_property
    def _kinds(self) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
        """Rate codes of all kinds of rows and of columns, which kind each row is, and how many columns are of a kind.

        And how many weights there are of each sum of codes.
        """
        if self.rates is None:
            rows, counts = np.zeros(self.scales[0].size, np.int64), np.array([self.scales[1].size])
        else:
            rows, counts = self.rates[0], np.bincount(self.rates[1])
        kinds, of = np.unique(rows, return_inverse=True)
        return kinds[:, None] + np.arange(counts.size), of, counts, np.convolve(np.bincount(rows), counts)

    def _total(self, offsets: np.ndarray) -> np.ndarray:
        """Rates of all weights together, in 1/UNIT bit: what walks take but for what fills up tiles."""
        weights = self._kinds[3]
        total: np.ndarray = rates_of(np.arange(weights.size), offsets[:, None]).astype(np.int64) @ weights
        return total

    def _size(self, offsets: np.ndarray) -> np.ndarray:
        """Bytes of walks, where every tile takes whole bits."""
        codes, of, counts, _ = self._kinds
        sums = (rates_of(codes, offsets[:, None, None]).astype(np.int64) @ counts)[:, of]
        bits = -(-np.add.reduceat(sums, self._starts, axis=1) // UNIT)
        return self._bytes(bits.sum(axis=1))

    @staticmethod
    def _bytes(bits: np.ndarray) -> np.ndarray:
        return (bits + 7) // 8

    def _predicted(self, offset: int) -> float:
        """The share of energy that is lost if every class has that of its scale."""
        if self.rates is None:
            return lost(int(rates_of(np.zeros(1, np.int64), offset)[0]))
        counts = np.convolve(np.bincount(self.scales[0]), np.bincount(self.scales[1]))
        k = np.arange(counts.size)
        energies = (counts * half_octaves(k)).tolist()
        shares = [lost(rate) for rate in rates_of(k, offset).tolist()]
        left = sum(energy * share for energy, share in zip(energies, shares, strict=True))
        return float(left / sum(energies))


def _largest(size: Callable[[np.ndarray], np.ndarray], low: int, high: int, room: int, at_once: int) -> int:
    """The largest number whose size, which never falls, fits; `low` if none does."""
    parts = np.arange(1, at_once + 1)
    while low < high:
        tried = low + (high - low) * parts // (at_once + 1) + 1
        fit = int(np.searchsorted(size(tried), room, side="right"))
        if fit < at_once:
            high = int(tried[fit]) - 1
        if fit:
            low = int(tried[fit - 1])
    return low


def lost(rate: int) -> float:
    """4^−rate, the share of energy that a rate in 2^-16 bit loses at best."""
    return math.ldexp(_LOST[rate % _HALF], -(rate // _HALF))


def _lost_table() -> list[float]:
    """2^(−n/32768) for n = 0 … 32767 by roots and products alone."""
    root = 0.5
    for _ in range(15):
        root = math.sqrt(root)
    table: list[float] = np.multiply.accumulate(np.full(_HALF, root)).tolist()
    return [1.0, *table[:-1]]


_LOST = _lost_table()
