"""The model of quantized weights: how often each level occurs in each context; both signs of a level are one.

Given that a weight's level is ℓ or above, it is ℓ with a *share*: one of 91 steps of even size in the square root,
where an error costs the same everywhere. A share costs a few bits, because neighbouring contexts have similar ones.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np

from subbit.bits import costs
from subbit.coders import zigzag
from subbit.coders.adaptive import IntegerReader
from subbit.errors import SubbitError

__all__ = ["CERTAIN", "ONE", "Levels"]

CERTAIN = 90
"""The code of share 1; code 0 is share 0."""
ONE = 1 << 30
"""Probabilities are counted in 2^-30."""
_FIRST = 64
_CODE_BITS = 5
_IMPOSSIBLE = 1 << 62


def _shares() -> np.ndarray:
    codes = np.arange(CERTAIN + 1)
    return np.where(codes <= CERTAIN // 2, 16 * codes**2, 65536 - 16 * (CERTAIN - codes) ** 2)


_SHARES = _shares()


@dataclass(frozen=True, eq=False)
class Levels:
    """Codes of shares, int64 (contexts, levels - 1); what is left after the last share is the last level's."""

    codes: np.ndarray

    @classmethod
    def fit(cls, counts: np.ndarray) -> Levels:
        """Codes that cost least for counts (contexts, levels), up to the last level that occurs.

        A code is what is predicted for it where another would save less than it costs to store.
        """
        counts = np.asarray(counts, np.int64)
        used = np.flatnonzero(counts.sum(axis=0))
        counts = counts[:, : int(used[-1]) + 1 if used.size else 1]
        above = np.cumsum(counts[:, ::-1], axis=1)[:, ::-1]
        spent = _spent(counts[:, :-1], above[:, 1:])
        codes = np.argmin(spent, axis=2)
        worth = np.take_along_axis(spent, codes[..., None], axis=2)[..., 0] + _CODE_BITS * costs.UNIT
        before = _FIRST
        for level in range(codes.shape[1]):
            if spent[0, level, before] <= worth[0, level]:
                codes[0, level] = before
            before = int(codes[0, level])
        for context in range(1, len(codes)):
            predicted = codes[context - 1]
            stays = np.take_along_axis(spent[context], predicted[:, None], axis=1)[:, 0] <= worth[context]
            codes[context] = np.where(stays, predicted, codes[context])
        return cls(codes)

    def cost(self, counts: np.ndarray) -> float:
        """Bits of levels under the model, signs not counted; the same number on every machine."""
        counts = np.asarray(counts, np.int64)[:, : self.codes.shape[1] + 1]
        above = np.cumsum(counts[:, ::-1], axis=1)[:, ::-1]
        prices, shares = costs.prices(16), _SHARES[self.codes]
        spent = counts[:, :-1] * prices[shares] + above[:, 1:] * prices[65536 - shares]
        units: list[int] = spent.sum(axis=1).tolist()
        return sum(units) / costs.UNIT

    @property
    def bits(self) -> np.ndarray:
        """What levels cost, signs not counted: float32 (contexts, levels), at most 16 bits."""
        found: np.ndarray = (costs.prices(16)[self.chances >> 14] / costs.UNIT).astype(np.float32)
        return found

    @cached_property
    def chances(self) -> np.ndarray:
        """Probabilities of levels in 2^-30, int64 (contexts, levels); at least 1 for one that can occur, else 0."""
        contexts, count = self.codes.shape
        rest, found = np.full(contexts, ONE), np.zeros((count + 1, contexts), np.int64)
        codes = np.ascontiguousarray(self.codes.T)
        shares, possible, uncertain = _SHARES[codes], np.minimum(codes, 1), np.minimum(CERTAIN - codes, 1)
        for level in range(count):
            share = np.maximum(rest * shares[level] >> 16, np.minimum(rest, possible[level]))
            found[level] = share
            rest = np.maximum(rest - share, np.minimum(rest, uncertain[level]))
        found[count] = rest
        return np.ascontiguousarray(found.T)

    @property
    def count(self) -> int:
        """How many levels there are, 0 included."""
        return int(self.codes.shape[1]) + 1

    def numbers(self) -> list[np.ndarray]:
        """What is stored: the number of levels less one; the codes' differences to the predicted, level by level."""
        return [np.array([self.codes.shape[1]]), zigzag.fold((self.codes - _predicted(self.codes)).T.ravel())]

    @classmethod
    def read(cls, stream: IntegerReader, contexts: int, limit: int) -> Levels:
        """Read :meth:`numbers` back, at most `limit` levels; raises :class:`SubbitError` (kind "section")."""
        count = int(stream.take(1, limit - 1)[0])
        moves = zigzag.unfold(stream.take(contexts * count, 2 * CERTAIN)).reshape(count, contexts)
        codes = np.cumsum(moves, axis=1)
        codes += _FIRST + np.concatenate([np.zeros(1, np.int64), np.cumsum(moves[:-1, 0])])[:count, None]
        if codes.size and not 0 <= int(codes.min()) <= int(codes.max()) <= CERTAIN:
            raise SubbitError("a share of levels is not within 0 and 1", kind="section")
        return cls(np.ascontiguousarray(codes.T))


def _spent(now: np.ndarray, later: np.ndarray) -> np.ndarray:
    """What every code of a share would cost (…, 91): `now` weights at a level and `later` ones above it."""
    prices = costs.prices(16)
    spent: np.ndarray = now[..., None] * prices[_SHARES] + later[..., None] * prices[65536 - _SHARES]
    spent[..., 0][now > 0] = _IMPOSSIBLE
    spent[..., CERTAIN][later > 0] = _IMPOSSIBLE
    return spent


def _predicted(codes: np.ndarray) -> np.ndarray:
    """The code of the context before; in the first context, of the level before."""
    found = np.empty_like(codes)
    found[1:] = codes[:-1]
    found[:1, 1:] = codes[:1, :-1]
    found[:1, :1] = _FIRST
    return found
