"""How far a compression is, as a share of its time: some codecs take a hundred times as long as others."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable

__all__ = ["Remaining"]

_GUESSES = {"same": 5e-9, "dense": 30e-9, "uniform": 30e-9}
_GUESS = 300e-9
"""Seconds a weight; what was measured soon outweighs them."""
_WEIGHTS, _SECONDS = 1 << 20, 0.1
"""What a guess counts for: small tensors say little."""


class Remaining:
    """Weights that are left and that are done, by codec, and how long the latter took."""

    def __init__(self, tensors: Iterable[tuple[str, int]]) -> None:
        """Begin with all tensors, as codecs and weights."""
        self._left: Counter[str] = Counter()
        for codec, weights in tensors:
            self._left[codec] += weights
        self._done: Counter[str] = Counter()
        self._seconds: dict[str, float] = {}
        self._share = 0.0

    def took(self, codec: str, weights: int, seconds: float) -> None:
        """Count a tensor as done."""
        self._left[codec] -= weights
        self._done[codec] += weights
        self._seconds[codec] = self._seconds.get(codec, 0.0) + seconds

    def share(self) -> float:
        """The share of the time that is over, 0 … 1; it never goes back."""
        spent = sum(self._seconds.values())
        left = sum(weights * self._cost(codec, spent) for codec, weights in self._left.items())
        self._share = max(self._share, spent / (spent + left) if spent + left else 1.0)
        return self._share

    def _cost(self, codec: str, spent: float) -> float:
        """Seconds a weight: a guess, corrected by how wrong guesses were so far, and by what this codec took."""
        guessed = sum(weights * _GUESSES.get(done, _GUESS) for done, weights in self._done.items())
        guess = _GUESSES.get(codec, _GUESS) * (spent + _SECONDS) / (guessed + _SECONDS)
        return (self._seconds.get(codec, 0.0) + _WEIGHTS * guess) / (self._done[codec] + _WEIGHTS)
