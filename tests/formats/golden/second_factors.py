"""The layout `factors`, from SPEC.md alone; see `second_reader`."""

from __future__ import annotations

import struct
from array import array

from tests.formats.golden.second_parts import Stream, f32, seen
from tests.formats.golden.second_scalar import scalar


def factors(rows: int, cols: int, parts: dict[str, bytes]) -> array[float]:
    (unit,) = struct.unpack_from("<f", parts["scales"])
    stream = Stream(parts["scales"][4:])
    rank, resolution, residual = stream.numbers(3)
    latents, row_codes, column_codes = (stream.numbers(count) for count in (rank, rows, cols))
    row_scales, column_scales = (
        f32(2 ** ((c - 1) / 2**resolution) if c else 0 for c in k) for k in (row_codes, column_codes)
    )
    row_scales = f32(unit * scale for scale in row_scales)
    u, v = (
        list(map(list, zip(*planes(parts[name], rank, n), strict=True)))
        for name, n in (("rows", rows), ("columns", cols))
    )
    sums = (sum(-s if p != q else s for s, p, q in zip(latents, a, b, strict=True)) for a in u for b in v)
    scaled = f32(z * column_scales[n % cols] for n, z in enumerate(sums))
    values = f32(x * row_scales[n // cols] for n, x in enumerate(scaled))
    seen.add(f"factors, {'residual' if residual else 'alone'}")
    if residual:
        rest = scalar(rows, cols, parts["residual"], signed=True)
        values = f32(x + d for x, d in zip(values, rest, strict=True))
    return values


def planes(data: bytes, rank: int, count: int) -> list[list[int]]:
    size = -(-count // 8)
    assert len(data) == rank * size
    return [[data[k * size + i // 8] >> i % 8 & 1 for i in range(count)] for k in range(rank)]
