"""The layouts `uniform`, `factors` and `signed` with its magnitudes: matrices of float32 from their sections."""

from __future__ import annotations

from typing import Any

import numpy as np

from .parts import Stream, bit_rows, halves
from .scalar import scalar
from .signs import flips, plane, words
from .trellis import trellis

Sections = dict[str, bytes]


def uniform(knobs: dict[str, Any], rows: int, cols: int, parts: Sections) -> np.ndarray:
    width, group = knobs.get("width", 8), knobs.get("group", 64)
    codes = bit_rows(parts["codes"], rows, cols, width) - (1 << width - 1)
    return codes.astype("f4") * halves(parts["scales"]).reshape(rows, -1).repeat(group, 1)[:, :cols]


def factors(_: dict[str, Any], rows: int, cols: int, parts: Sections) -> np.ndarray:
    unit, stream = np.frombuffer(parts["scales"], "<f4", 1), Stream(parts["scales"], 4)
    rank, resolution, residual = stream.numbers(3)
    latent, row, column = (stream.numbers(count) for count in (rank, rows, cols))
    row, column = (np.where(c, 2.0 ** ((c - 1) / 2.0**resolution), 0).astype("f4") for c in (row, column))
    u, v = (1 - 2 * bit_rows(parts[name], rank, n, 1) for name, n in (("rows", rows), ("columns", cols)))
    weights = ((u.T * latent) @ v).astype("f4") * column * (unit * row)[:, None]
    return weights + scalar(rows, cols, parts["residual"], 2) if residual else weights


def signed(knobs: dict[str, Any], rows: int, cols: int, parts: Sections, below: np.ndarray | None) -> np.ndarray:
    kind = knobs["magnitudes"]["kind"]
    if kind == "lowbit":
        size = scalar(rows, cols, parts["codes"], 1)
    else:
        kinds = {"scales": scales, "vector": vector, "one-of-n": one_of_n, "trellis": trellis}
        size = kinds[kind](knobs["magnitudes"], rows, cols, parts)
    minus = np.signbit(below) if below is not None else plane(knobs["signs"], rows, cols, parts.get("signs", b""))
    return np.where(minus ^ flips(parts.get("flips", b""), rows, cols), -size, size)


def scales(knobs: dict[str, Any], rows: int, cols: int, parts: Sections) -> np.ndarray:
    data, rank = parts["factors"], knobs.get("rank", 1)
    steps = np.frombuffer(data, "<f4", 2 * rank, 1)[:, None]
    stored = np.frombuffer(data, "<f2" if data[0] else np.uint8, offset=1 + 8 * rank).astype("f4")
    r = stored[: rank * rows].reshape(rank, rows, 1) * steps[:rank, None]
    c = stored[rank * rows :].reshape(rank, 1, cols) * steps[rank:, None]
    return sum(r[1:] * c[1:], r[0] * c[0])


def vector(knobs: dict[str, Any], rows: int, cols: int, parts: Sections) -> np.ndarray:
    dim = max(1, min(knobs.get("dim", 17), cols))
    entries = max(1, min(knobs.get("entries", 256), rows * (cols // dim)))
    width, data = max(1, (entries - 1).bit_length()), parts["codebook"]
    book = np.zeros((1 << width, dim), "f4")
    book[:entries].flat = np.frombuffer(data, "<f2" if data[0] else np.uint8, offset=5)
    book *= np.frombuffer(data, "<f4", 1, 1)
    codes = bit_rows(parts["codes"], rows, -(-cols // dim), width)
    return book[codes].reshape(rows, -1)[:, :cols] * halves(parts["scales"])[:, None]


def one_of_n(knobs: dict[str, Any], rows: int, cols: int, parts: Sections) -> np.ndarray:
    n, groups = knobs.get("n", 4), -(-cols // knobs.get("n", 4))
    if knobs.get("mask", "stored") == "stored":
        places = bit_rows(parts["places"], rows, groups, n.bit_length() - 1)
    else:
        sizes = [min(n, cols - n * g) for g in range(groups)]
        word = words(knobs.get("seed", 0), 3, rows * groups)
        places = np.array([w % sizes[k % groups] for k, w in enumerate(word)]).reshape(rows, groups)
    kept = places.repeat(n, 1)[:, :cols] == np.arange(cols) % n
    return np.where(kept, scales({}, rows, cols, parts), np.float32(0))
