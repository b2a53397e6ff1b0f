"""|W| with one weight of every few kept: where it stands, and a factor for its row times one for its column."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from subbit.codecs.blocks import parallel, rows_per_block
from subbit.codecs.knobs import check_knob
from subbit.codecs.magnitudes.base import Fill
from subbit.codecs.magnitudes.scales import Scales
from subbit.codecs.sections import section_bytes
from subbit.errors import SubbitError
from subbit.kernels import kernel
from subbit.records import Buffer

__all__ = ["OneOfN"]

MASKS = ("stored", "seeded")
_STREAM = 3


@dataclass(frozen=True)
class OneOfN:
    """Of every `n` neighbouring columns of a row keep one weight, at its row factor × column factor; the rest is 0.

    `mask="stored"` keeps the largest of each group, where given weighted by importance, and stores its place:
    log2(n) / n bits a weight. `mask="seeded"` draws the places from `seed`, for nothing; train into them. The last
    group of a row may be shorter. The factors are those of :class:`Scales` with rank 1, by least squares over the
    kept weights: 8 (or 16) · (rows + cols) bits.

    With stored places ‖|W| − M‖² / ‖W‖² of a Gaussian matrix of 1024² is .462 for n = 4 and .602 for n = 8. `n` is
    2, 4, 8, 16, 32 or 64, `seed` 0 … 2^64 − 1; others raise SubbitError, kind "knobs".
    """

    kind: ClassVar[str] = "one-of-n"
    section_names: ClassVar[frozenset[str]] = frozenset({"places", "factors"})
    n: int = 4
    mask: str = "stored"
    seed: int = 0

    def __post_init__(self) -> None:
        check_knob("n", self.n, 2, 64)
        check_knob("seed", self.seed, 0, 2**64 - 1)
        if self.n & (self.n - 1):
            raise SubbitError(f"n is {self.n}, not a power of two", kind="knobs")
        if self.mask not in MASKS:
            raise SubbitError(f"mask is {self.mask!r}, neither 'stored' nor 'seeded'", kind="knobs")

    @property
    def width(self) -> int:
        """Bits of a place."""
        return self.n.bit_length() - 1

    def groups(self, cols: int) -> int:
        """Groups of a row."""
        return -(-cols // self.n)

    def bits(self, rows: int, cols: int) -> int:
        """Places, rows rounded up to bytes, and the bound of the factors."""
        places = 8 * rows * self._row_bytes(cols) if self.mask == "stored" else 0
        return places + Scales().bits(rows, cols)

    def encode(self, magnitudes: np.ndarray, importance: np.ndarray | None = None) -> dict[str, bytes]:
        """Choose the places, then fit the factors to the weights that stand there."""
        rows, cols = magnitudes.shape
        weights = np.broadcast_to(np.float32(1) if importance is None else importance, magnitudes.shape)
        kept = np.empty((rows, cols), np.float32)
        places = np.empty((rows, self.groups(cols)), np.uint16)
        step = rows_per_block(cols)

        def task(index: int) -> None:
            part = slice(index * step, min((index + 1) * step, rows))
            places[part] = self._choose(magnitudes[part], weights[part], part)
            kept[part] = weights[part]
            kernel("groups").keep_one(places[part], self.n, kept[part])

        parallel(task, -(-rows // step) if cols else 0)
        sections = {"places": self.pack(places)} if self.mask == "stored" else {}
        return sections | Scales().encode(magnitudes, kept)  # where the weight is 0 an error costs nothing

    def decoder(self, sections: Mapping[str, Buffer], rows: int, cols: int) -> tuple[Fill, int]:
        """Compose the factors, then clear what is not kept."""
        compose, block_rows = Scales().decoder(sections, rows, cols)
        packed = self._checked(sections, rows, cols) if self.mask == "stored" else None

        def fill(start: int, stop: int, block: np.ndarray) -> None:
            compose(start, stop, block)
            if packed is None:
                places = self.seeded_places(start, stop, cols)
            else:
                places = kernel("rows").unpack_rows(packed[start:stop], self.groups(cols), self.width)
            kernel("groups").keep_one(places, self.n, block)

        return fill, block_rows

    def seeded_places(self, start: int, stop: int, cols: int) -> np.ndarray:
        """Where the seed keeps a weight in each group of rows start … stop: uint16[stop - start, groups]."""
        groups = self.groups(cols)
        words = kernel("counter_hash").words(self.seed, _STREAM, start * groups, (stop - start) * groups)
        sizes = np.minimum(self.n, cols - self.n * np.arange(groups)).astype(np.uint64)
        places: np.ndarray = (words.reshape(stop - start, groups) % sizes).astype(np.uint16)
        return places

    def pack(self, places: np.ndarray) -> bytes:
        """Places uint16[rows, groups] as the section holds them."""
        packed: bytes = kernel("rows").pack_rows(places, self.width).tobytes()
        return packed

    def _choose(self, magnitudes: np.ndarray, weights: np.ndarray, part: slice) -> np.ndarray:
        if self.mask == "seeded":
            return self.seeded_places(part.start, part.stop, magnitudes.shape[1])
        rows, cols = magnitudes.shape
        worth = np.full((rows, self.groups(cols) * self.n), -1.0)
        worth[:, :cols] = weights * np.square(magnitudes, dtype=np.float64)
        best: np.ndarray = worth.reshape(rows, -1, self.n).argmax(axis=2)
        return best

    def _row_bytes(self, cols: int) -> int:
        return -(-self.groups(cols) * self.width // 8)

    def _checked(self, sections: Mapping[str, Buffer], rows: int, cols: int) -> np.ndarray:
        """The packed places uint8[rows, row bytes]; all are inside their groups, and nothing stands behind the last."""
        row_bytes, last = self._row_bytes(cols), self.groups(cols) - 1
        packed = section_bytes(sections, "places", rows * row_bytes).reshape(rows, row_bytes)
        if packed.size:
            end = packed[:, last * self.width // 8 :].astype(np.uint16)  # one byte or two
            words = end[:, 0] | (end[:, -1] << (8 * (end.shape[1] - 1)))
            if (words >> (last * self.width % 8) >= cols - last * self.n).any():
                raise SubbitError("a kept weight stands outside its group", kind="section")
        return packed
