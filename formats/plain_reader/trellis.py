"""The layout `trellis`, of weights and of magnitudes."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from .parts import Stream, bits
from .signs import words

FIRST = np.array([0x4ECD, 0x0A7D, 0x0C70, 0x5D77, 0xD5BF, 0xC1FA, 0x6851, 0x7F57])
SECOND = np.array([0x1342, 0x043B, 0xA2F2, 0x1B01, 0x6B94, 0x8781, 0x3AF1, 0xC929])
WEIGHTS, TAILS, MAGNITUDES = (67830, 45, 66565, 0), (70124, 61, 66191, 0), (196608, 225, 73400, 960)


def trellis(knobs: dict[str, Any], rows: int, cols: int, parts: dict[str, bytes]) -> np.ndarray:
    data, weights, length = parts["codes"], "kind" not in knobs, knobs.get("state_bits", 12)
    mode, group, start = data[0] % 4, 1 << (data[0] >> 3), 9 if weights else 13
    step, loss, bias = [*np.frombuffer(data, "<f4", 2 if weights else 3, 1).astype("f8"), 0.0][:3]
    stream = Stream(data, start)
    (offset,), r, c = stream.signed(1), stream.numbers(rows), stream.numbers(cols)
    a, b = (stream.numbers(rows), stream.numbers(cols)) if mode == 2 else (r * (mode == 1), c * (mode == 1))

    def root(n: np.ndarray) -> np.ndarray:
        return np.ldexp(np.where(n % 2, 1.4142135623730951, 1.0), n >> 1)

    k, q = r[:, None] + c, a[:, None] + b
    unit = (step * np.sqrt(root(k) * np.maximum(1 - loss * root(-q), 0))).astype("f4")
    centre = (bias * np.sqrt(root(k))).astype("f4")
    rate = np.clip(offset + 16384 * q, 0, 524288)
    rate[rate < 8192] = 0
    if group > 1:
        rate = np.where(rate, np.where(np.arange(cols) % group, 1, group * rate - (group - 1)), 0)
    y, rest, height = np.zeros((rows, cols), int), bits(data[stream.at :]), max(1, 16384 // cols)
    for top in range(0, rows, height):
        coded = rate[top : top + height] > 0
        ends = -(-np.cumsum(rate[top : top + height]) >> 16)
        before = np.concatenate([np.zeros(length, int), rest[: ends[-1]]])
        rest = rest[ends[-1] :]
        windows = np.lib.stride_tricks.sliding_window_view(before, length)[ends[coded.ravel()]]
        moved = np.diff(ends, prepend=0)[coded.ravel()] > 0
        here = np.arange(moved.size)
        phase = here - np.maximum.accumulate(np.where(moved, here, 0))
        y[top : top + height][coded] = value(windows @ (1 << np.arange(length)), phase, length, weights, data[0])
    values = (y / 1024).astype("f4") * unit
    if not weights:
        return np.where(rate > 0, np.maximum(values + centre, 0), centre)
    seed = knobs.get("rotation")
    return values if seed is None else turn(turn(values.T, seed, 4).T, seed, 5)


def value(x: np.ndarray, phase: np.ndarray, length: int, weights: bool, mode: int) -> np.ndarray:
    h = x + 65536 * phase
    for shift, odd in ((16, 0x7FEB352D), (15, 0x846CA68B)):
        h = (h ^ h >> shift) * odd % 2**32
    h ^= h >> 16
    masks = (table[phase] | 1 << length - 1 | 1 for table in (FIRST, SECOND))
    f, g = (sum((x & mask) >> k & 1 for k in range(16)) % 2 for mask in masks)
    p = (g << 14) + (h >> 18) if weights else (f << 14) + (g << 13) + (h >> 19)
    A, C, D, E = MAGNITUDES if not weights else TAILS if mode & 4 else WEIGHTS
    y = (2 * p + 1) * (A - 2 * p - 1) // (C * (D - 2 * p - 1)) - E
    return np.where(f, -y, y) if weights else y


def turn(x: np.ndarray, seed: int, stream: int) -> np.ndarray:
    """Each row turned."""
    n = x.shape[1]
    size = 1 << n.bit_length() - 1
    minus = np.array([word % 2 for word in words(seed, stream, 2 * n)], bool)
    if size < n:
        x = np.concatenate([x[:, : n - size], transform(x[:, n - size :])], 1)
        x = np.where(minus[n:], -x, x)
    x = np.concatenate([transform(x[:, :size]), x[:, size:]], 1)
    return np.where(minus[:n], -x, x)


def transform(x: np.ndarray) -> np.ndarray:
    rows, size = x.shape
    h = 1
    while h < size:
        a, b = np.moveaxis(x.reshape(rows, -1, 2, h), 2, 0)
        x, h = np.stack([a + b, a - b], 2).reshape(rows, size), 2 * h
    return x * np.float32(math.sqrt(1 / size))
