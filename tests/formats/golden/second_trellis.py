"""Walks along a trellis, from SPEC.md's chapter "trellis": one weight after another, with Python's numbers."""

from __future__ import annotations

import math
import struct
from array import array
from typing import Any

from tests.formats.golden.second_parts import Stream, f32, seen
from tests.formats.golden.second_planes import word

FIRST = (0x4ECD, 0x0A7D, 0x0C70, 0x5D77, 0xD5BF, 0xC1FA, 0x6851, 0x7F57)
SECOND = (0x1342, 0x043B, 0xA2F2, 0x1B01, 0x6B94, 0x8781, 0x3AF1, 0xC929)


def trellis(knobs: dict[str, Any], rows: int, cols: int, codes: bytes, signed: bool) -> list[float]:
    size, mode = knobs.get("state_bits", 12), codes[0]
    group = 1 << (mode >> 3)
    step, loss, *bias = struct.unpack_from("<2f" if signed else "<3f", codes, 1)
    start = 9 if signed else 13
    stream = Stream(codes[start:])
    (offset,) = stream.signed(1)
    r, c = stream.numbers(rows), stream.numbers(cols)
    a, b = (
        ([0] * rows, [0] * cols)
        if mode % 4 == 0
        else (r, c)
        if mode % 4 == 1
        else (stream.numbers(rows), stream.numbers(cols))
    )
    seen.add(f"trellis, mode {mode}" + ("" if signed else " of magnitudes"))
    assert stream.x == 65536
    bits, place, out = int.from_bytes(codes[start + stream.at :], "little"), 0, f32([])
    height = max(1, 16384 // cols)
    for i in range(rows):
        if i % height == 0:
            if i:
                bits, place = bits >> -(-place >> 16), 0
            phase = -1
        for j in range(cols):
            k, q = r[i] + c[j], a[i] + b[j]
            (u,) = f32([step * math.sqrt(root(k) * max(1 - loss * root(-q), 0))])
            (m,) = f32([bias[0] * math.sqrt(root(k))]) if bias else [0.0]
            rate = min(max(offset + 16384 * q, 0), 524288)
            if rate < 8192:
                seen.add("trellis, rate 0")
                out.append(m)
                continue
            if group > 1:
                rate = 1 if j % group else group * rate - (group - 1)
            before, place = -(-place >> 16), place + rate
            phase = 0 if -(-place >> 16) > before else phase + 1
            state = (bits << size) >> -(-place >> 16) & ((1 << size) - 1)
            (weight,) = f32([value(state, phase, size, signed, mode) / 1024 * u])
            out.append(weight if signed else max(0.0, *f32([weight + m])))
    assert bits >> -(-place >> 16) == 0
    return list(turned(out, rows, cols, knobs["rotation"]) if knobs.get("rotation") is not None else out)


def root(n: int) -> float:
    return math.ldexp(math.sqrt(2) if n % 2 else 1.0, n >> 1)


def value(x: int, phase: int, size: int, signed: bool, mode: int) -> int:
    h = x + 65536 * phase
    for shift, odd in ((16, 0x7FEB352D), (15, 0x846CA68B)):
        h = (h ^ h >> shift) * odd % 2**32
    h ^= h >> 16
    ends = 1 << (size - 1) | 1
    f = (x & (FIRST[phase] | ends)).bit_count() % 2
    g = (x & (SECOND[phase] | ends)).bit_count() % 2
    p = (g << 14) + (h >> 18) if signed else (f << 14) + (g << 13) + (h >> 19)
    a, c, d, e = (
        (196608, 225, 73400, 960) if not signed else (70124, 61, 66191, 0) if mode & 4 else (67830, 45, 66565, 0)
    )
    y = (2 * p + 1) * (a - 2 * p - 1) // (c * (d - 2 * p - 1)) - e
    return -y if signed and f else y


def turned(values: array[float], rows: int, cols: int, seed: int) -> array[float]:
    seen.add("trellis, rotation")
    columns = [turn(values[j::cols], seed, 4) for j in range(cols)]
    found = f32([])
    for i in range(rows):
        found += turn(f32(column[i] for column in columns), seed, 5)
    return found


def turn(x: array[float], seed: int, stream: int) -> array[float]:
    n = len(x)
    size = 1 << (n.bit_length() - 1)
    if size < n:
        x = x[: n - size] + transform(x[n - size :])
        x = f32(-v if word(seed, stream, n + t) % 2 else v for t, v in enumerate(x))
    x = transform(x[:size]) + x[size:]
    return f32(-v if word(seed, stream, t) % 2 else v for t, v in enumerate(x))


def transform(x: array[float]) -> array[float]:
    size, h = len(x), 1
    while h < size:
        x = f32(x[t] + x[t + h] if t % (2 * h) < h else x[t - h] - x[t] for t in range(size))
        h *= 2
    (w,) = f32([math.sqrt(1 / size)])
    return f32(v * w for v in x)
