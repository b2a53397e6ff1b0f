"""Numba form of the sign planes; see `plain.sign_planes` for the definitions."""

from __future__ import annotations

import numpy as np

from subbit.kernels.compiled.jit import jit
from subbit.kernels.compiled.simd import angle_word

__all__ = ["angle", "disagreement", "factors", "gaps", "lowrank", "mask", "places", "turn", "walsh"]


def angle(row_angles: np.ndarray, col_angles: np.ndarray, out: np.ndarray) -> None:
    _angle(row_angles, col_angles, out)


def factors(words: np.ndarray) -> np.ndarray:
    out = np.empty(words.size, np.int32)
    _factors(words, out)
    return out


def lowrank(row_factors: np.ndarray, col_factors: np.ndarray, out: np.ndarray) -> None:
    _lowrank(row_factors, col_factors, out)


def walsh(codes: np.ndarray, planes: np.ndarray, out: np.ndarray) -> None:
    _walsh(codes, planes, out)


def disagreement(a: np.ndarray, b: np.ndarray) -> int:
    return int(_disagreement(a, b))


def gaps(words: np.ndarray, cols: int) -> np.ndarray:
    out = np.empty(_disagreement(words, np.zeros_like(words)), np.int64)
    _gaps(words, cols, out)
    return out


def places(words: np.ndarray, cols: int) -> tuple[np.ndarray, np.ndarray]:
    counts = np.empty(len(words), np.int64)
    _counts(words, counts)
    columns = np.empty(int(counts.sum()), np.int32)
    _places(words, columns)
    return columns, counts


def turn(words: np.ndarray, columns: np.ndarray, starts: np.ndarray) -> None:
    _turn(words, columns, starts)


def mask(gaps: np.ndarray, cols: int, out: np.ndarray) -> bool:
    return bool(_mask(gaps, cols, out))


@jit
def _angle(row_angles, col_angles, out):  # type: ignore[no-untyped-def]
    cols = col_angles.size
    for i in range(row_angles.size):
        turn = row_angles[i]
        for w in range(cols >> 6):
            out[i, w] = angle_word(np.intp(col_angles.ctypes.data) + 128 * w, turn)
        if cols & 63:
            word = np.uint64(0)
            for j in range(cols & ~63, cols):
                top = np.uint16(turn + col_angles[j]) >> np.uint16(15)
                word |= np.uint64(top) << np.uint64(j & 63)
            out[i, cols >> 6] = word


@jit
def _factors(words, out):  # type: ignore[no-untyped-def]
    for k in range(words.size):
        out[k] = _popcount(words[k]) - 32


@jit
def _lowrank(row_factors, col_factors, out):  # type: ignore[no-untyped-def]
    rank, cols = col_factors.shape
    product = np.empty(cols, np.int32)
    for i in range(row_factors.shape[0]):
        product[:] = 0
        for k in range(rank):
            factor = row_factors[i, k]
            for j in range(cols):
                product[j] += factor * col_factors[k, j]
        out[i, :] = np.uint64(0)
        for j in range(cols):
            out[i, j >> 6] |= np.uint64(product[j] < 0) << np.uint64(j & 63)


@jit
def _walsh(codes, planes, out):  # type: ignore[no-untyped-def]
    for i in range(codes.size):
        for t in range(planes.shape[0]):
            if (codes[i] >> np.uint64(t)) & np.uint64(1):
                for w in range(out.shape[1]):
                    out[i, w] ^= planes[t, w]


@jit
def _disagreement(a, b):  # type: ignore[no-untyped-def]
    count = 0
    for i in range(a.shape[0]):
        for w in range(a.shape[1]):
            count += _popcount(a[i, w] ^ b[i, w])
    return count


@jit
def _popcount(x):  # type: ignore[no-untyped-def]
    x = x - ((x >> np.uint64(1)) & np.uint64(0x5555555555555555))
    x = (x & np.uint64(0x3333333333333333)) + ((x >> np.uint64(2)) & np.uint64(0x3333333333333333))
    x = (x + (x >> np.uint64(4))) & np.uint64(0x0F0F0F0F0F0F0F0F)
    return np.int64((x * np.uint64(0x0101010101010101)) >> np.uint64(56))


@jit
def _gaps(words, cols, out):  # type: ignore[no-untyped-def]
    count, expected = 0, 0
    for i in range(words.shape[0]):
        for w in range(words.shape[1]):
            word = words[i, w]
            while word:
                lowest = word & (np.uint64(0) - word)
                place = i * cols + (w << 6) + _popcount(lowest - np.uint64(1))
                out[count] = place - expected
                expected = place + 1
                count += 1
                word ^= lowest


@jit
def _counts(words, counts):  # type: ignore[no-untyped-def]
    for i in range(words.shape[0]):
        counts[i] = 0
        for w in range(words.shape[1]):
            counts[i] += _popcount(words[i, w])


@jit
def _places(words, columns):  # type: ignore[no-untyped-def]
    at = 0
    for i in range(words.shape[0]):
        for w in range(words.shape[1]):
            word = words[i, w]
            while word:
                lowest = word & (np.uint64(0) - word)
                columns[at] = (w << 6) + _popcount(lowest - np.uint64(1))
                at += 1
                word ^= lowest


@jit
def _turn(words, columns, starts):  # type: ignore[no-untyped-def]
    for i in range(words.shape[0]):
        for k in range(starts[i], starts[i + 1]):
            words[i, columns[k] >> 6] ^= np.uint64(1) << np.uint64(columns[k] & 63)


@jit
def _mask(gaps, cols, out):  # type: ignore[no-untyped-def]
    total = out.shape[0] * cols
    place = -1
    for k in range(gaps.size):
        place += gaps[k] + 1
        if place < 0 or place >= total:
            return False
        i = place // cols
        j = place - i * cols
        out[i, j >> 6] |= np.uint64(1) << np.uint64(j & 63)
    return True
