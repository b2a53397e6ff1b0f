"""|W| as entries of a codebook: a code for every `dim` neighbouring columns, and a scale for every row."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import ClassVar

import numpy as np

from subbit.codecs.base import ENCODER
from subbit.codecs.blocks import parallel, rows_per_block
from subbit.codecs.halves import halves_size, pack_halves, unpack_halves
from subbit.codecs.knobs import check_knob
from subbit.codecs.magnitudes.base import NO_ANGLES, Angles, Fill
from subbit.codecs.magnitudes.codebook import pack_codebook, unpack_codebook
from subbit.codecs.magnitudes.kmeans import half_squares, kmeans
from subbit.codecs.sections import section_bytes
from subbit.kernels import kernel
from subbit.kernels.outputs import LANES, NO_SIGNS, aligned, raw
from subbit.records import Buffer

__all__ = ["Vector"]

_BLOCKS = 16  # usual blocks at once: the kernel works on a row at a time, and signs are bits
TRAINING = (1 << 17, 1 << 18)
"""Fewest and most vectors that train a codebook, between them 256 an entry."""


@dataclass(frozen=True)
class Vector:
    """k-means codes for `dim` weights at a time: about log2(entries) / dim bits a weight.

    Each row is divided by its root mean square; then its vectors are replaced by the nearest of
    `entries` codebook entries, which Lloyd's algorithm trains on a sample drawn from `seed`. The last
    vector of a row may be shorter than `dim`: it is compared over the components that it has.

    All in: ⌈⌈cols / dim⌉ · width / 8⌉ bytes a row with width = ⌈log2 entries⌉, 16 bits a row, and a codebook
    of 8 (or 16) · dim · entries bits. On a Gaussian matrix of 4096², ‖|W| − M‖² / ‖W‖² is .191 at .477 bits
    a weight with 17 x 256. `dim` is 1 … 64, `entries` 1 … 4096; others raise SubbitError, kind "knobs".
    """

    kind: ClassVar[str] = "vector"
    takes_gains: ClassVar[tuple[bool, bool]] = (True, False)
    section_names: ClassVar[frozenset[str]] = frozenset({"codes", "codebook", "scales"})
    dim: int = 17
    entries: int = 256
    seed: int = field(default=0, metadata=ENCODER)

    def __post_init__(self) -> None:
        check_knob("dim", self.dim, 1, 64)
        check_knob("entries", self.entries, 1, 4096)
        check_knob("seed", self.seed, 0, 2**64 - 1)

    def bits(self, rows: int, cols: int) -> int:
        """Codes, row scales, and a codebook of float16."""
        dim, entries, width = self.in_use(rows, cols)
        codebook = 5 + 2 * dim * entries
        return 8 * (rows * _row_bytes(cols, dim, width) + halves_size(rows) + codebook)

    def encode(self, magnitudes: np.ndarray, importance: np.ndarray | None = None) -> dict[str, bytes]:
        """Scale the rows, train the codebook, code every vector with the codebook as it is stored."""
        rows, cols = magnitudes.shape
        dim, entries, width = self.in_use(rows, cols)
        scales = pack_halves(_root_mean_squares(magnitudes))
        divisors = unpack_halves(scales, rows)
        divisors[divisors == 0] = np.inf
        points, weights = self._sample(magnitudes, importance, divisors, dim, entries)
        codebook = pack_codebook(kmeans(points, weights, entries, self.seed), points, weights)
        codes = _code_rows(magnitudes, divisors, unpack_codebook(codebook, dim, entries), width)
        return {"codes": codes.tobytes(), "codebook": codebook.tobytes(), "scales": scales.tobytes()}

    def decoder(self, sections: Mapping[str, Buffer], rows: int, cols: int) -> tuple[Fill, int]:
        """Look up entry × row scale: one multiplication a weight."""
        packed, width, codebook, scales = self.parts(sections, rows, cols)
        dim = len(codebook)
        table = aligned(1 << width, -(-dim // LANES) * LANES)
        table[:, :dim] = codebook.T
        return _Gather(packed, width, table, dim, scales), _BLOCKS * rows_per_block(cols)

    def parts(
        self, sections: Mapping[str, Buffer], rows: int, cols: int
    ) -> tuple[np.ndarray, int, np.ndarray, np.ndarray]:
        """The checked sections: codes packed uint8[rows, bytes], their width, float32[d, 2**width] and row scales.

        Codes of `width` bits can name entries past the last one: those are zeros.
        """
        dim, entries, width = self.in_use(rows, cols)
        row_bytes = _row_bytes(cols, dim, width)
        packed = section_bytes(sections, "codes", rows * row_bytes).reshape(rows, row_bytes)
        scales = unpack_halves(section_bytes(sections, "scales", halves_size(rows)), rows)
        codebook = np.zeros((dim, 1 << width), np.float32)
        codebook[:, :entries] = unpack_codebook(section_bytes(sections, "codebook"), dim, entries)
        return packed, width, codebook, scales

    def regain(self, sections: Mapping[str, Buffer], rows: np.ndarray, columns: np.ndarray) -> dict[str, Buffer]:
        """Multiply the row scales by gains; columns have none, and their gains are 1."""
        scales = unpack_halves(section_bytes(sections, "scales", halves_size(rows.size)), rows.size)
        return {**sections, "scales": pack_halves((scales * rows).astype(np.float32)).tobytes()}

    def in_use(self, rows: int, cols: int) -> tuple[int, int, int]:
        """Dimension, entries and code width in use: a small matrix has no need of a larger codebook."""
        dim = max(1, min(self.dim, cols))
        entries = max(1, min(self.entries, rows * (cols // dim)))
        return dim, entries, max(1, (entries - 1).bit_length())

    def _sample(
        self,
        magnitudes: np.ndarray,
        importance: np.ndarray | None,
        divisors: np.ndarray,
        dim: int,
        entries: int,
    ) -> tuple[np.ndarray, np.ndarray]:
        """Whole vectors to train on, one from each of equal parts, and what an error in each weighs."""
        rows, cols = magnitudes.shape
        total = rows * (cols // dim)
        count = min(total, max(TRAINING[0], min(TRAINING[1], 256 * entries)))
        bounds = np.arange(count + 1, dtype=np.uint64) * np.uint64(total) // np.uint64(max(1, count))
        words = kernel("counter_hash").words(self.seed, 1, 0, count)
        chosen = (bounds[:-1] + words % np.maximum(np.diff(bounds), np.uint64(1))).astype(np.intp)
        row, place = np.divmod(chosen, max(1, cols // dim))
        columns = place[:, None] * dim + np.arange(dim)
        points = magnitudes[row[:, None], columns] / divisors[row, None]
        weights = np.where(divisors[row] < np.inf, divisors[row], 0).astype(np.float64) ** 2
        if importance is not None:
            given = np.broadcast_to(importance, magnitudes.shape)
            weights *= sum(given[row, columns[:, j]].astype(np.float64) for j in range(dim)) / dim
        return points, weights


@dataclass(frozen=True)
class _Gather:
    """Rows from codes: entry of the table × row scale, signs, and the type of number, in one go."""

    packed: np.ndarray
    width: int
    table: np.ndarray
    dim: int
    scales: np.ndarray

    def __call__(self, start: int, stop: int, block: np.ndarray) -> None:
        self.finished(start, stop, NO_SIGNS, NO_ANGLES, block, False)

    def finished(self, start: int, stop: int, words: np.ndarray, angles: Angles, out: np.ndarray, stream: bool) -> None:
        turns, columns = angles
        kernel("vector").gather(
            self.packed[start:stop], self.width, self.table, self.dim, self.scales[start:stop], words,
            turns[start:stop], columns, *raw(out), stream,
        )  # fmt: skip


def _row_bytes(cols: int, dim: int, width: int) -> int:
    return (-(-cols // dim) * width + 7) // 8


def _root_mean_squares(matrix: np.ndarray) -> np.ndarray:
    squares = np.zeros(len(matrix))
    kernel("rows").row_squares(matrix, squares)
    roots: np.ndarray = np.sqrt(squares / max(1, matrix.shape[1])).astype(np.float32)
    return roots


def _code_rows(matrix: np.ndarray, divisors: np.ndarray, codebook: np.ndarray, width: int) -> np.ndarray:
    """Packed codes uint8[rows, row bytes] of a matrix, block of rows by block of rows."""
    rows, cols = matrix.shape
    dim = len(codebook)
    whole = cols // dim
    out = np.empty((rows, _row_bytes(cols, dim, width)), np.uint8)
    step = rows_per_block(cols)

    def task(index: int) -> None:
        part = slice(index * step, (index + 1) * step)
        block = matrix[part] / divisors[part, None]
        codes = np.empty((len(block), -(-cols // dim)), np.uint16)
        points = block[:, : whole * dim].reshape(-1, dim)
        codes[:, :whole] = _nearest(points, codebook).reshape(-1, whole)
        if whole < codes.shape[1]:
            tail = block[:, whole * dim :]
            codes[:, whole] = _nearest(tail, codebook[: tail.shape[1]])
        out[part] = kernel("rows").pack_rows(codes, width)

    parallel(task, -(-rows // step) if cols else 0)
    return out


def _nearest(points: np.ndarray, codebook: np.ndarray) -> np.ndarray:
    codes, scores = np.empty(len(points), np.uint16), np.empty(len(points), np.float32)
    points = np.ascontiguousarray(points)
    kernel("kmeans").nearest(points, codebook, half_squares(codebook), codes, scores)
    return codes
