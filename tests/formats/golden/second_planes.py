"""Sign planes and flips, from TEMPLATES.md and SPEC.md's chapter "signed": one bit a weight, row after row."""

from __future__ import annotations

from typing import Any

from tests.formats.golden.second_parts import Cursor, fields, numbers, seen

MASK = (1 << 64) - 1
GOLDEN, ODD_1, ODD_2 = 0x9E3779B97F4A7C15, 0xBF58476D1CE4E5B9, 0x94D049BB133111EB


def flips(data: bytes, weights: int) -> list[int]:
    if not data:
        return [0] * weights
    cursor = Cursor(data)
    count = cursor.varint()
    seen.add("flips, " + ("gaps" if count else "mask"))
    if count == 0:
        return fields(data[1:], [1] * weights)
    out = [0] * weights
    for place in numbers(data[cursor.at :], count):
        out[place] = 1
    return out


def mix(x: int) -> int:
    x = (x ^ x >> 30) * ODD_1 & MASK
    x = (x ^ x >> 27) * ODD_2 & MASK
    return x ^ x >> 31


def word(seed: int, stream: int, k: int) -> int:
    return mix(mix(seed + GOLDEN * (stream + 1) & MASK) + GOLDEN * (k + 1) & MASK)


def plane(knobs: dict[str, Any], rows: int, cols: int, data: bytes) -> list[int]:
    """The sign bits, row after row."""
    kind, seed, words = knobs["kind"], knobs.get("seed", 0), -(-cols // 64)
    if kind == "stored":
        return fields(data, [1] * (rows * cols))
    if kind == "fitted":
        width = knobs.get("width", 11)
        angles = fields(data, [width] * (rows + cols))
        return [a + b >> (width - 1) & 1 for a in angles[:rows] for b in angles[rows:]]
    assert data == b""
    if kind == "angle":
        across = [word(seed, 1, j) for j in range(cols)]
        return [word(seed, 0, i) + b >> 15 & 1 for i in range(rows) for b in across]
    if kind == "hashed":
        return [word(seed, 2, i * words + j // 64) >> j % 64 & 1 for i in range(rows) for j in range(cols)]
    if kind == "lowrank":
        rank = knobs["rank"]
        u, v = ([[word(seed, s, i * rank + k).bit_count() - 32 for k in range(rank)] for i in range(n)]
                for s, n in enumerate((rows, cols)))  # fmt: skip
        return [int(sum(x * y for x, y in zip(a, b, strict=True)) < 0) for a in u for b in v]
    n = max(6, (min(rows, cols) - 1).bit_length())
    size, across_blocks = 1 << n, -(-cols >> n)
    sigma = [scatter(x, n) for x in range(size)]
    return [
        ((sigma[i % size] & sigma[j % size]).bit_count() + word(seed, 0, i * across_blocks + j // size)
         + (word(seed, 1, i // size * words + j // 64) >> j % 64)) & 1
        for i in range(rows) for j in range(cols)
    ]  # fmt: skip


def scatter(x: int, n: int) -> int:
    for odd in (GOLDEN, ODD_1):
        x = x * odd % (1 << n)
        x ^= x >> (n + 1) // 2
    return x
