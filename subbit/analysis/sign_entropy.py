"""What signs cost a coder that learns as it goes: an upper bound on their entropy, the model's cost included.

A handful of sequential codes read the signs; each starts knowing nothing and pays for what it learns. The estimate is
the code length of their Bayesian mixture, at most log2(codes) bits above the best of them, so it is what a decoder
would need and never a fit. All codes are built on the Krichevsky–Trofimov coin, whose sequential length depends on
counts alone; that is why no loop over signs is needed.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import cache

import numpy as np

from subbit.bits.entropy import binary_entropy

__all__ = ["SignEntropy", "code_lengths", "rate_distortion", "sign_entropy"]

_NEIGHBOURS = ((0, 1), (1, 0), (1, 1), (1, -1), (0, 2), (2, 0), (1, 2), (2, 1))
"""Rows up and columns to the left of a sign, nearest first: W, N, NW, NE, WW, NN and two knight's moves."""

_MOST_COMPARED = 2048
"""A side with more rows (or columns) is not searched for similar ones: the search is quadratic."""


@dataclass(frozen=True)
class SignEntropy:
    """Bits a sign in the mixture of all codes, and the name of the code that is shortest alone."""

    bits: float
    best: str


def sign_entropy(negative: np.ndarray, seen: np.ndarray | None = None) -> SignEntropy:
    """Estimate the entropy rate of a bool matrix of signs: 1 for random ones, H(p) for a biased coin.

    The codes know bias, rows and columns of a bias of their own, near neighbours and similar rows and columns. Signs
    that follow another rule, such as a hash, look random to them: the estimate is an upper bound. `seen`, bool as
    well, says where there is a sign at all, which costs nothing to know: zeros have none. Similar lines need all.
    """
    count = negative.size if seen is None else np.count_nonzero(seen)
    lengths = code_lengths(negative, seen)
    best = min(lengths, key=lengths.__getitem__)
    return SignEntropy(_mixture(np.array(list(lengths.values()))) / max(count, 1), best)


def code_lengths(negative: np.ndarray, seen: np.ndarray | None = None) -> dict[str, float]:
    """The length of every code in bits for all signs of a bool matrix, by the name of the code; see `sign_entropy`."""
    rows, cols = negative.shape
    there = np.ones(negative.shape, bool) if seen is None else seen
    negative = negative & there
    count, ones = int(np.count_nonzero(there)), int(np.count_nonzero(negative))
    lengths = {
        "random": float(count),
        "bias": float(_coin(count - ones, ones)),
        "rows": _lines(negative, there),
        "columns": _lines(negative.T, there.T),
        "neighbours": _neighbours(negative, there),
    }
    if count < negative.size:
        return lengths
    if rows <= _MOST_COMPARED:
        lengths["similar rows"] = _similar_lines(negative)
    if cols <= _MOST_COMPARED:
        lengths["similar columns"] = _similar_lines(negative.T)
    return lengths


def rate_distortion(entropy: float, distortion: float) -> float:
    """Bits a sign that must be kept when a share `distortion` may come back wrong: [Ĥ − h₂(δ)]₊.

    Shannon's lower bound for binary symbols under Hamming distortion; with entropy 1 the curve of random signs.
    """
    return max(0.0, entropy - binary_entropy(min(distortion, 0.5)))


def _lines(negative: np.ndarray, seen: np.ndarray) -> float:
    """Every row is a coin of its own."""
    ones = np.count_nonzero(negative, axis=1)
    return float(_coin(np.count_nonzero(seen, axis=1) - ones, ones).sum())


def _neighbours(negative: np.ndarray, seen: np.ndarray) -> float:
    """Context tree weighting over the nearest neighbours that came before: all depths at once, each with its price.

    Source: Willems, Shtarkov & Tjalkens, "The context-tree weighting method" (1995); beyond the border all is +.
    """
    rows, cols = negative.shape
    padded = np.pad(negative, ((2, 0), (2, 1))).astype(np.uint16)
    context = np.zeros((rows, cols), np.uint16)
    for place, (up, left) in enumerate(_NEIGHBOURS):
        context |= padded[2 - up : 2 - up + rows, 2 - left : 2 - left + cols] << place
    depth = len(_NEIGHBOURS)
    counts = np.bincount((context | (negative.astype(np.uint16) << depth))[seen], minlength=2 << depth)
    zeros, ones = counts.reshape(2, -1)
    weighted = _coin(zeros, ones)
    while weighted.size > 1:
        children = weighted.reshape(2, -1).sum(0)
        zeros, ones = zeros.reshape(2, -1).sum(0), ones.reshape(2, -1).sum(0)
        weighted = 1.0 - np.logaddexp2(-_coin(zeros, ones), -children)
    return float(weighted[0])


def _similar_lines(negative: np.ndarray) -> float:
    """Every row is predicted by one earlier row, whose sign chooses between two coins, or by none.

    Which one is not known: a mixture over all of them, which costs about log2(rows) bits a row. A tree of dependences
    as in Chow & Liu (1968); it finds templates of low rank, whose rows are alike where their directions are.
    """
    count, width = negative.shape
    ones = np.count_nonzero(negative, axis=1)
    signs = negative.astype(np.float32)
    shared = (signs @ signs.T).astype(np.int32)
    factorials, halves = _tables(_limit(width))
    parents = factorials[ones] + factorials[width - ones]
    lengths = _coin(width - ones, ones)
    for j in range(1, count):
        both, only = shared[j, :j], ones[:j] - shared[j, :j]
        mine = ones[j] - both
        beside = parents[:j] - halves[both] - halves[only] - halves[mine] - halves[width - ones[j] - only]
        lengths[j] = _mixture(np.array([lengths[j], _mixture(beside)]))
    return float(lengths.sum())


def _mixture(lengths: np.ndarray) -> float:
    """The code length of the Bayesian mixture, with equal shares, of codes of these lengths."""
    shortest = float(lengths.min())
    return shortest - math.log2(float(np.exp2(shortest - lengths).sum()) / lengths.size)


def _coin(zeros: np.ndarray | int, ones: np.ndarray | int) -> np.ndarray:
    """Bits of a sequence with these counts under the Krichevsky–Trofimov estimator."""
    total = np.add(zeros, ones)
    factorials, halves = _tables(_limit(int(np.max(total, initial=1))))
    lengths: np.ndarray = factorials[total] - halves[zeros] - halves[ones]
    return lengths


def _limit(count: int) -> int:
    """A power of two above this count, so that few tables are made."""
    return 1 << count.bit_length()


@cache
def _tables(limit: int) -> tuple[np.ndarray, np.ndarray]:
    """log2(n!) and Σ log2(i + ½) for i < n, of n = 0 … limit."""
    steps = np.arange(limit, dtype=np.float64)
    return tuple(np.concatenate([[0.0], np.cumsum(np.log2(steps + add))]) for add in (1.0, 0.5))  # type: ignore[return-value]
