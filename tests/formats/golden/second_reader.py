"""A second reader of `.sbit` files, written from SPEC.md and TEMPLATES.md alone, in plain Python.

It shares no line with the library: where both decode the goldens to the same bytes, the text suffices. It checks
only what keeps it on track; refusing bad files is the library's part.
"""

from __future__ import annotations

import json
import math
import struct
from array import array
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import xxhash
import zstandard

from tests.formats.golden.second_factors import factors
from tests.formats.golden.second_parts import f32, fields, halves, seen
from tests.formats.golden.second_planes import flips, plane, word
from tests.formats.golden.second_scalar import scalar
from tests.formats.golden.second_trellis import trellis

SIZES = {"float64": 8, "complex64": 8, "int64": 8, "uint64": 8, "complex128": 16}
SIZES |= dict.fromkeys(("float32", "int32", "uint32"), 4)
SIZES |= dict.fromkeys(("float16", "bfloat16", "int16", "uint16"), 2)


Tensor = tuple[str, tuple[int, ...], bytes]


def read(path: Path) -> dict[str, Tensor]:
    """Every tensor and alias of a file as (element type, shape, little-endian bytes of its elements)."""
    data = path.read_bytes()
    if path.suffix == ".json":
        return {name: read(path.parent / shard)[name] for name, shard in json.loads(data)["weight_map"].items()}
    magic, major, _, _, size, offset, index_size, count = struct.unpack_from("<8sHHIQQQQ", data)
    assert (magic, major, size) == (b"\x89SBT\r\n\x1a\n", 1, len(data))
    assert data[112:128] == digest(data[:112])
    assert data[48:64] == digest(data[offset:])
    assert data[64:80] == digest(data[128:])
    index = json.loads(data[offset : offset + index_size])
    hashes = [data[at : at + 16] for at in range(offset + index_size, size, 16)]
    found, extras = {}, index.get("extras", [])
    hint = index.get("metadata", {}).get("subbit.base")
    parents = read(path.parent / hint) if hint else {}
    sections = places(data, [s for t in index["tensors"] for _, s in t["sections"]] + [e["size"] for e in extras])
    assert len(sections) == len(hashes) == count
    assert [digest(section) for section in sections] == hashes
    left = iter(sections)
    for tensor in index["tensors"]:
        codec, shape = index["codecs"][tensor["codec"]], tuple(tensor["shape"])
        parts = {name: next(left) for name, _ in tensor["sections"]}
        found[tensor["name"]] = tensor["dtype"], shape, decode(
            codec, shape, tensor["dtype"], parts, parents.get(tensor["name"])
        )  # fmt: skip
    for extra, section in zip(extras, left, strict=True):
        seen.add("extra, " + ("plain" if "raw_size" not in extra else "compressed"))
        assert len(unpacked(section, extra["raw_size"]) if "raw_size" in extra else section) > 0
    return found | {name: found[target] for name, target in index.get("aliases", {}).items()}


def digest(data: bytes) -> bytes:
    return xxhash.xxh3_128(data).digest()


def places(data: bytes, sizes: list[int]) -> list[bytes]:
    at, out = 128, []
    for size in sizes:
        start = at if size == 0 else -(-at // (64 if size >= 4096 else 8)) * (64 if size >= 4096 else 8)
        assert not any(data[at:start])
        out.append(data[start : start + size])
        at = start + size
    return out


def unpacked(frame: bytes, size: int) -> bytes:
    assert zstandard.frame_content_size(frame) == size
    return zstandard.ZstdDecompressor().decompress(frame)


def decode(
    codec: dict[str, Any], shape: tuple[int, ...], dtype: str, parts: dict[str, bytes], parent: Tensor | None
) -> bytes:
    knobs = codec.get("knobs", {})
    seen.add(codec["id"])
    if codec["id"] == "same":
        assert parts == {}
        return checked(parent, knobs)
    if codec["id"] == "dense":
        return dense(parts["data"], math.prod(shape) * SIZES.get(dtype, 1), SIZES.get(dtype, 1))
    rows, cols = matrix(shape)
    values: Iterable[float]
    if codec["id"] == "uniform":
        values = uniform(knobs, rows, cols, parts)
    elif codec["id"] == "deadzone":
        values = scalar(rows, cols, parts["codes"], signed=True)
    elif codec["id"] == "factors":
        values = factors(rows, cols, parts)
    elif codec["id"] == "trellis":
        values = trellis(knobs, rows, cols, parts["codes"], signed=True)
    elif codec["id"] == "delta":
        difference = scalar(rows, cols, parts["codes"], signed=True)
        values = f32(p + d for p, d in zip(singles(parent, knobs), difference, strict=True))
    else:
        below = [math.copysign(1, p) < 0 for p in singles(parent, knobs["signs"])] if "parent" in knobs["signs"] else []
        values = signed(knobs, rows, cols, parts, below)
    return elements(array("f", values), dtype)


def checked(parent: Tensor | None, knobs: dict[str, Any]) -> bytes:
    assert parent is not None
    dtype, shape, data = parent
    assert digest(" ".join([dtype, *map(str, shape)]).encode() + b"\n" + data).hex() == knobs["parent"]
    return data


def singles(parent: Tensor | None, knobs: dict[str, Any]) -> array[float]:
    data = checked(parent, knobs)
    dtype = parent[0] if parent else ""
    if dtype == "bfloat16":
        data = b"".join(b"\0\0" + data[k : k + 2] for k in range(0, len(data), 2))
    code = {"bfloat16": "f", "float16": "e", "float32": "f", "float64": "d"}[dtype]
    return f32(struct.unpack(f"<{len(data) // struct.calcsize(code)}{code}", data))


def elements(values: array[float], dtype: str) -> bytes:
    if dtype == "bfloat16":
        bits = struct.unpack(f"<{len(values)}I", struct.pack(f"<{len(values)}f", *values))
        return b"".join(struct.pack("<H", (b + 0x7FFF + (b >> 16 & 1)) >> 16) for b in bits)
    if dtype == "float16":
        values = f32(math.copysign(math.inf, v) if abs(v) >= 65520 else v for v in values)
    code = {"float16": "e", "float32": "f", "float64": "d"}[dtype]
    return struct.pack(f"<{len(values)}{code}", *values)


def matrix(shape: tuple[int, ...]) -> tuple[int, int]:
    if len(shape) < 2:
        return 1, math.prod(shape)
    splits = [(math.prod(shape[:k]), math.prod(shape[k:])) for k in range(1, len(shape))]
    return min(splits, key=max)


def dense(data: bytes, size: int, item: int) -> bytes:
    seen.add(f"dense, mode {data[0]}")
    if data[0] == 0:
        assert len(data) == 1 + size
        return data[1:]
    planes, count = unpacked(data[1:], size), size // item
    return bytes(planes[k * count + i] for i in range(count) for k in range(item))


def uniform(knobs: dict[str, int], rows: int, cols: int, parts: dict[str, bytes]) -> Iterator[float]:
    width, group = knobs.get("width", 8), knobs.get("group", 64)
    groups = -(-cols // group)
    scales = halves(parts["scales"], rows * groups)
    for i, codes in enumerate(code_rows(parts["codes"], rows, cols, width)):
        for j, code in enumerate(codes):
            yield (code - (1 << width >> 1)) * scales[i * groups + j // group]


def code_rows(data: bytes, rows: int, count: int, width: int) -> Iterator[list[int]]:
    size = -(-count * width // 8)
    assert len(data) == rows * size
    return (fields(data[i * size : (i + 1) * size], [width] * count) for i in range(rows))


def signed(knobs: dict[str, Any], rows: int, cols: int, parts: dict[str, bytes], below: list[bool]) -> list[float]:
    kind = knobs["magnitudes"]["kind"]
    seen.update((kind, f"{knobs['signs']['kind']}, {'flips' if 'flips' in parts else 'no flips'}"))
    magnitudes: Iterable[float]
    if kind == "lowbit":
        magnitudes = scalar(rows, cols, parts["codes"], signed=False)
    elif kind == "trellis":
        magnitudes = trellis(knobs["magnitudes"], rows, cols, parts["codes"], signed=False)
    else:
        readers = {"scales": rank_k, "vector": vector, "one-of-n": one_of_n}
        magnitudes = readers[kind](knobs["magnitudes"], rows, cols, parts)
    negative = below or plane(knobs["signs"], rows, cols, parts.get("signs", b""))
    flipped = flips(parts.get("flips", b""), rows * cols)
    return [-m if n ^ f else m for m, n, f in zip(magnitudes, negative, flipped, strict=True)]


def rank_k(knobs: dict[str, int], rows: int, cols: int, parts: dict[str, bytes]) -> array[float]:
    data, rank = parts["factors"], knobs.get("rank", 1)
    seen.add(f"factors, mode {data[0]}")
    scales = struct.unpack_from(f"<{2 * rank}f", data, 1)
    stored = struct.unpack(f"<{rank * (rows + cols)}{'Be'[data[0]]}", data[1 + 8 * rank :])
    total = f32([-0.0]) * (rows * cols)  # the neutral element: -0.0 + x is x
    for t in range(rank):
        r = f32(x * scales[t] for x in stored[t * rows : (t + 1) * rows])
        c = f32(x * scales[rank + t] for x in stored[rank * rows + t * cols : rank * rows + (t + 1) * cols])
        total = f32(s + p for s, p in zip(total, f32(x * y for x in r for y in c), strict=True))
    return total


def vector(knobs: dict[str, int], rows: int, cols: int, parts: dict[str, bytes]) -> Iterator[float]:
    dim = max(1, min(knobs.get("dim", 17), cols))
    entries = max(1, min(knobs.get("entries", 256), rows * (cols // dim)))
    width = max(1, (entries - 1).bit_length())
    mode, step = struct.unpack_from("<Bf", parts["codebook"])
    seen.add(f"codebook, mode {mode}")
    book = f32(c * step for c in struct.unpack(f"<{dim * entries}{'Be'[mode]}", parts["codebook"][5:]))
    book += f32([0.0]) * (dim * ((1 << width) - entries))
    scales = halves(parts["scales"], rows)
    for scale, codes in zip(scales, code_rows(parts["codes"], rows, -(-cols // dim), width), strict=True):
        for j in range(cols):
            yield book[codes[j // dim] * dim + j % dim] * scale


def one_of_n(knobs: dict[str, Any], rows: int, cols: int, parts: dict[str, bytes]) -> Iterator[float]:
    n, mask, seed = knobs.get("n", 4), knobs.get("mask", "stored"), knobs.get("seed", 0)
    seen.add(f"one-of-n, {mask}")
    groups, values = -(-cols // n), rank_k({}, rows, cols, parts)
    if mask == "stored":
        places = list(code_rows(parts["places"], rows, groups, n.bit_length() - 1))
    else:
        sizes = [min(n, cols - n * g) for g in range(groups)]
        places = [[word(seed, 3, i * groups + g) % size for g, size in enumerate(sizes)] for i in range(rows)]
    for at, magnitude in enumerate(values):
        i, j = divmod(at, cols)
        yield magnitude if j % n == places[i][j // n] else 0.0
