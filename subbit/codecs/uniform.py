"""k-bit integers in groups with a common scale: the plain choice for embeddings and output heads."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import ClassVar

import numpy as np

from subbit.codecs.base import stored_knobs
from subbit.codecs.blocks import Filler, decode_matrix, parallel, rows_per_block
from subbit.codecs.halves import halves_size, pack_halves, unpack_halves
from subbit.codecs.knobs import check_knob
from subbit.codecs.sections import section_bytes
from subbit.kernels import kernel
from subbit.kernels.outputs import raw
from subbit.records import Encoded, Shape, matrix_shape
from subbit_formats.dtypes import dtype_name

__all__ = ["Uniform"]

_BLOCKS = 16  # usual blocks at once: the kernel works on a row at a time
_LARGEST = np.float32(3.39e38)
"""Peaks are cut here, so that the largest code times a scale that was rounded up stays finite."""


@dataclass(frozen=True)
class Uniform:
    """Symmetric integers: code = round(w / scale), half to even, |code| ≤ 2^(width-1) - 1.

    `group` columns of a row share a scale (the last ones may be fewer): their largest magnitude over
    the largest code, rounded up to float16 under a common power of two, so nothing is clipped. Costs
    `width` + 16 / `group` bits a weight, rows rounded up to bytes. An error is at most scale / 2.
    `width` is 2 … 8, `group` 1 … 65536; others raise SubbitError, kind "knobs".
    """

    id: ClassVar[str] = "uniform"
    takes_gains: ClassVar[tuple[bool, bool]] = (True, False)
    section_names: ClassVar[frozenset[str]] = frozenset({"codes", "scales"})
    width: int = 8
    group: int = 64

    def __post_init__(self) -> None:
        check_knob("width", self.width, 2, 8)
        check_knob("group", self.group, 1, 65536)

    def bits(self, shape: Shape) -> int:
        """Codes and scales; exact."""
        rows, cols = matrix_shape(shape)
        return 8 * (rows * self._row_bytes(cols) + halves_size(rows * self._groups(cols)))

    def encode(self, weight: np.ndarray, importance: np.ndarray | None = None) -> Encoded:
        """Round every weight to its group's grid; `importance` changes nothing."""
        rows, cols = matrix_shape(weight.shape)
        matrix = weight.reshape(rows, cols)
        groups = self._groups(cols)
        peaks = np.zeros((rows, groups), np.float32)
        codes = np.empty((rows, self._row_bytes(cols)), np.uint8)
        step = rows_per_block(cols)
        blocks = -(-rows // step) if weight.size else 0

        def find_peaks(index: int) -> None:
            part = slice(index * step, (index + 1) * step)
            magnitudes = np.minimum(np.abs(matrix[part].astype(np.float32)), _LARGEST)
            peaks[part] = np.maximum.reduceat(magnitudes, np.arange(0, cols, self.group), axis=1)

        def find_codes(index: int) -> None:
            part = slice(index * step, (index + 1) * step)
            divisors = np.repeat(steps[part], self.group, axis=1)[:, :cols]
            levels = np.rint(matrix[part].astype(np.float32) / divisors)
            levels = np.clip(levels, -self._limit, self._limit) + np.float32(self._limit + 1)
            codes[part] = kernel("rows").pack_rows(levels.astype(np.uint16), self.width)

        parallel(find_peaks, blocks)
        scales = pack_halves(peaks.reshape(-1) / np.float32(self._limit), upward=True)
        steps = unpack_halves(scales, rows * groups).reshape(rows, groups)
        steps[steps == 0] = np.inf
        parallel(find_codes, blocks)
        sections = {"codes": codes.tobytes(), "scales": scales.tobytes()}
        return Encoded(self.id, stored_knobs(self), weight.shape, dtype_name(weight.dtype), sections)

    def decode(self, encoded: Encoded, out: np.ndarray | None = None) -> np.ndarray:
        """Rebuild all rows; see `filler`."""
        return decode_matrix(encoded, out, self.filler(encoded))

    def filler(self, encoded: Encoded) -> Filler:
        """Code × scale: one multiplication, one rounding."""
        rows, cols = matrix_shape(tuple(encoded.shape))
        row_bytes, groups = self._row_bytes(cols), self._groups(cols)
        codes = section_bytes(encoded.sections, "codes", rows * row_bytes).reshape(rows, row_bytes)
        stored = section_bytes(encoded.sections, "scales", halves_size(rows * groups))
        scales = unpack_halves(stored, rows * groups).reshape(rows, groups)

        def fill(start: int, stop: int, block: np.ndarray, stream: bool = False) -> None:
            part = slice(start, stop)
            kernel("uniform").expand(codes[part], self.width, scales[part], self.group, *raw(block), stream)

        return Filler(fill, _BLOCKS * rows_per_block(cols), direct=True, grain=1)

    def regain(self, encoded: Encoded, rows: np.ndarray, columns: np.ndarray) -> Encoded:
        """Multiply the scales of every row by its gain; columns have no scale of their own, and their gains are 1."""
        count = rows.size * self._groups(columns.size)
        scales = unpack_halves(section_bytes(encoded.sections, "scales", halves_size(count)), count)
        scales = (scales.reshape(rows.size, -1) * rows[:, None]).astype(np.float32).ravel()
        return replace(encoded, sections={**encoded.sections, "scales": pack_halves(scales).tobytes()})

    @property
    def _limit(self) -> int:
        return (1 << (self.width - 1)) - 1

    def _row_bytes(self, cols: int) -> int:
        return (cols * self.width + 7) // 8

    def _groups(self, cols: int) -> int:
        return -(-cols // self.group)
