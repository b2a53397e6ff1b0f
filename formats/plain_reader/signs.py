"""Signs from nothing or from a few bytes: TEMPLATES.md, and the section `flips` of SPEC.md."""

from __future__ import annotations

from typing import Any

import numpy as np

from .parts import bits, integers, varint

G, ODD_1, ODD_2 = 0x9E3779B97F4A7C15, 0xBF58476D1CE4E5B9, 0x94D049BB133111EB


def words(seed: int, stream: int, count: int) -> list[int]:
    """The first so many words of the counter hash."""

    def mix(x: int) -> int:
        x = (x ^ x >> 30) * ODD_1 % 2**64
        x = (x ^ x >> 27) * ODD_2 % 2**64
        return x ^ x >> 31

    start = mix((seed + G * (stream + 1)) % 2**64)
    return [mix((start + G * (k + 1)) % 2**64) for k in range(count)]


def plane(knobs: dict[str, Any], rows: int, cols: int, data: bytes) -> np.ndarray:
    kind, seed, width = knobs["kind"], knobs.get("seed", 0), -(-cols // 64)
    if kind == "stored":
        return bits(data)[: rows * cols].reshape(rows, cols)
    if kind in ("fitted", "angle"):
        top = knobs.get("width", 11) - 1 if kind == "fitted" else 15
        hashed = words(seed, 0, rows) + words(seed, 1, cols)
        angles = bits(data, top + 1) if kind == "fitted" else np.array([word % 65536 for word in hashed])
        return angles[:rows, None] + angles[rows : rows + cols] >> top & 1
    if kind == "lowrank":
        u, v = ([w.bit_count() - 32 for w in words(seed, s, n * knobs["rank"])] for s, n in enumerate((rows, cols)))
        return (np.reshape(u, (rows, -1)) @ np.reshape(v, (cols, -1)).T < 0).astype(int)
    i, j = range(rows), range(cols)
    if kind == "hashed":
        word = words(seed, 2, rows * width)
        return np.array([[word[r * width + c // 64] >> c % 64 & 1 for c in j] for r in i])
    n = max(6, (min(rows, cols) - 1).bit_length())
    size, across, x = 1 << n, -(-cols >> n), np.arange(1 << n, dtype=np.uint64)
    for odd in (G, ODD_1):
        x = x * np.uint64(odd) % np.uint64(size)
        x ^= x >> np.uint64((n + 1) // 2)
    row, column = words(seed, 0, rows * across), words(seed, 1, -(-rows // size) * width)
    return np.array([
        [((int(x[r % size]) & int(x[c % size])).bit_count() + row[r * across + c // size]
          + (column[r // size * width + c // 64] >> c % 64)) % 2 for c in j] for r in i
    ])  # fmt: skip


def flips(data: bytes, rows: int, cols: int) -> np.ndarray:
    found, source = np.zeros(rows * cols, int), iter(data)
    if data and (count := varint(source)):
        found[np.cumsum(np.add(integers(bytes(source), count), 1)) - 1] = 1
    elif data:
        found[:] = bits(data[1:])[: rows * cols]
    return found.reshape(rows, cols)
