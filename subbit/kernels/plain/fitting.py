"""What fitting a template takes: products with sign words, their transpose, the best angle of each row."""

from __future__ import annotations

import numpy as np

__all__ = ["best_angles", "products", "transpose"]

_ROWS_AT_ONCE = 64


def products(words: np.ndarray, vectors: np.ndarray) -> np.ndarray:
    """The ±1 matrix of the sign words times int64 vectors (cols, k), exactly: int64 (rows, k)."""
    out = np.empty((len(words), vectors.shape[1]), np.int64)
    for start in range(0, len(words), _ROWS_AT_ONCE):
        negative = _unpack(words[start : start + _ROWS_AT_ONCE], len(vectors)).astype(np.int64)
        out[start : start + _ROWS_AT_ONCE] = vectors.sum(axis=0) - 2 * (negative @ vectors)
    return out


def transpose(words: np.ndarray, cols: int) -> np.ndarray:
    """The sign words of the transposed plane: uint64 (cols, ceil(rows / 64))."""
    rows = len(words)
    octets = np.zeros((cols, -(-rows // 64) * 8), np.uint8)
    octets[:, : -(-rows // 8)] = np.packbits(_unpack(words, cols).T, axis=1, bitorder="little")
    return octets.view("<u8").astype(np.uint64)


def best_angles(
    words: np.ndarray, order: np.ndarray, enters: np.ndarray, places: np.ndarray, half: int
) -> tuple[np.ndarray, int]:
    """For every row the angle at which most columns have its signs, and how many do in all rows together.

    As a row's angle turns from 0 to `half` (half a turn), every column changes sign once: column `order[e]`
    at `places[e]` (ascending), to + where `enters[e]` is 1, else to −. The best angles form an interval
    between two changes; its middle is taken, of equal intervals the first. Angle + half flips the row: a
    row that is wrong nearly everywhere is as good as one that is right.
    """
    cols = len(order)
    last = np.append(places[1:] != places[:-1], True)
    spans = np.flatnonzero(last)
    left = places[spans]
    right = np.append(places[spans[1:]], places[0] + half)
    middle = (left + right) >> 1
    angles = np.empty(len(words), np.int64)
    total = 0
    for start in range(0, len(words), _ROWS_AT_ONCE):
        negative = _unpack(words[start : start + _ROWS_AT_ONCE], cols)[:, order]
        steps = np.where(negative == enters, -1, 1).astype(np.int32)
        walked = np.cumsum(steps, axis=1, dtype=np.int32)
        scores = 2 * walked[:, spans] - walked[:, -1:]
        best = np.argmax(np.abs(scores), axis=1)
        score = scores[np.arange(len(best)), best]
        angles[start : start + len(best)] = (middle[best] + np.where(score < 0, half, 0)) % (2 * half)
        total += int(np.abs(score).sum())
    return angles, (len(words) * cols + total) // 2


def _unpack(words: np.ndarray, cols: int) -> np.ndarray:
    octets = np.ascontiguousarray(words, "<u8").view(np.uint8)
    return np.unpackbits(octets, axis=1, count=cols, bitorder="little")
