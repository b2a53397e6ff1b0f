"""Numba form of the template fitting; see `plain.fitting` for the definitions."""

from __future__ import annotations

import numpy as np

from subbit.kernels.compiled.jit import jit

__all__ = ["best_angles", "products", "transpose"]


def products(words: np.ndarray, vectors: np.ndarray) -> np.ndarray:
    out = np.empty((len(words), vectors.shape[1]), np.int64)
    _products(words, np.ascontiguousarray(vectors.T), out)
    return out


def transpose(words: np.ndarray, cols: int) -> np.ndarray:
    out = np.zeros((cols, -(-len(words) // 64)), np.uint64)
    _transpose(words, out)
    return out


def best_angles(
    words: np.ndarray, order: np.ndarray, enters: np.ndarray, places: np.ndarray, half: int
) -> tuple[np.ndarray, int]:
    angles = np.empty(len(words), np.int64)
    total = int(_best_angles(words, order, enters, places, half, angles))
    return angles, (len(words) * len(order) + total) // 2


@jit
def _products(words, vectors, out):  # type: ignore[no-untyped-def]
    count, cols = vectors.shape
    for i in range(words.shape[0]):
        for k in range(count):
            total = np.int64(0)
            for j in range(cols):
                negative = np.int64((words[i, j >> 6] >> np.uint64(j & 63)) & np.uint64(1))
                total += vectors[k, j] * (1 - 2 * negative)
            out[i, k] = total


@jit
def _transpose(words, out):  # type: ignore[no-untyped-def]
    block = np.empty(64, np.uint64)
    for top in range(0, words.shape[0], 64):
        for w in range(words.shape[1]):
            for i in range(64):
                block[i] = words[top + i, w] if top + i < words.shape[0] else np.uint64(0)
            _transpose_block(block)
            for j in range(min(64, out.shape[0] - (w << 6))):
                out[(w << 6) + j, top >> 6] = block[j]


@jit
def _transpose_block(block):  # type: ignore[no-untyped-def]
    low = np.uint64(0x00000000FFFFFFFF)
    for size in (32, 16, 8, 4, 2, 1):
        shift = np.uint64(size)
        for i in range(64):
            if not i & size:
                swap = ((block[i] >> shift) ^ block[i + size]) & low
                block[i] ^= swap << shift
                block[i + size] ^= swap
        low ^= low << np.uint64(size >> 1)


@jit
def _best_angles(words, order, enters, places, half, angles):  # type: ignore[no-untyped-def]
    cols = order.size
    negative = np.empty(cols, np.uint8)
    total = 0
    for i in range(words.shape[0]):
        for j in range(cols):
            negative[j] = np.uint8((words[i, j >> 6] >> np.uint64(j & 63)) & np.uint64(1))
        end = 0
        for e in range(cols):
            end += 1 if negative[order[e]] != enters[e] else -1
        walked, best, best_event, best_score = 0, -1, 0, 0
        for e in range(cols):
            walked += 1 if negative[order[e]] != enters[e] else -1
            score = 2 * walked - end
            if abs(score) > best and (e + 1 == cols or places[e + 1] != places[e]):
                best, best_event, best_score = abs(score), e, score
        following = places[best_event + 1] if best_event + 1 < cols else places[0] + half
        angle = (places[best_event] + following) >> 1
        if best_score < 0:
            angle += half
        angles[i] = angle % (2 * half)
        total += best
    return total
