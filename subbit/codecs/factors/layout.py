"""Signs and scales as sections, and back to blocks of weights."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from subbit.bits.roots import FINEST
from subbit.codecs.blocks import rows_per_block
from subbit.codecs.factors.grid import RANGE, Grid
from subbit.codecs.magnitudes.base import Fill
from subbit.codecs.sections import section_bytes
from subbit.coders.adaptive import IntegerReader, IntegerWriter
from subbit.errors import SubbitError
from subbit.kernels import kernel
from subbit.records import Buffer

__all__ = ["LATENT_LIMIT", "SUM_LIMIT", "Head", "latent_bytes", "scale_bytes"]

LATENT_LIMIT = 4095
SUM_LIMIT = 1 << 24
"""No sum of latent scales leaves the whole numbers that float32 holds exactly."""


@dataclass(frozen=True)
class Head:
    """Weight (i, j) = unit · row scale i · column scale j · Σ_k ± latents_k, a minus where the two signs differ.

    Signs are packed, one latent after the other: uint8 (r, ⌈rows / 8⌉) and (r, ⌈cols / 8⌉), 1 is negative. `residual`
    says that another section holds what is to be added.
    """

    row_signs: np.ndarray
    col_signs: np.ndarray
    latents: np.ndarray
    grid: Grid
    unit: np.float32
    residual: bool = False

    def to_sections(self) -> dict[str, bytes]:
        """Bytes by section name."""
        scales = scale_bytes(self.unit, self.latents, self.grid, self.residual)
        return {"rows": self.row_signs.tobytes(), "columns": self.col_signs.tobytes(), "scales": scales}

    @classmethod
    def from_sections(cls, sections: Mapping[str, Buffer], rows: int, cols: int) -> Head:
        """Read and check; raises :class:`SubbitError` (kind "section") for damage."""
        unit, latents, grid, residual = _read_scales(section_bytes(sections, "scales"), rows, cols, sections)
        with np.errstate(over="ignore", invalid="ignore"):
            largest = unit * grid.row_steps.max(initial=1)
        if int(latents.sum()) > SUM_LIMIT or not 0 <= largest < np.inf:
            raise SubbitError("scales of factors are out of range", kind="section")
        return cls(
            section_bytes(sections, "rows").reshape(latents.size, -(-rows // 8)),
            section_bytes(sections, "columns").reshape(latents.size, -(-cols // 8)),
            latents, grid, unit, residual,
        )  # fmt: skip

    def filler(self, rows: int, cols: int) -> tuple[Fill, int]:
        """The function that writes row blocks, and how many rows it likes a block to have."""
        row_scales, col_scales = self.unit * self.grid.row_steps, self.grid.column_steps
        columns = np.unpackbits(self.col_signs, axis=1, count=cols, bitorder="little")
        latents = self.latents.astype(np.float32)

        def fill(start: int, stop: int, block: np.ndarray) -> None:
            packed = self.row_signs[:, start // 8 : -(-stop // 8)]
            signs = np.unpackbits(packed, axis=1, bitorder="little")[:, start % 8 : start % 8 + stop - start]
            kernel("factors").compose(signs, columns, latents, block)
            with np.errstate(over="ignore"):
                block *= col_scales
                block *= row_scales[start:stop, None]

        return fill, rows_per_block(cols)


def scale_bytes(unit: np.float32, latents: np.ndarray, grid: Grid, residual: bool = False) -> bytes:
    """Section `scales`: the unit; number of latents, resolution, residual or not; latents, row and column codes."""
    stream = IntegerWriter()
    for values in (np.array([latents.size, grid.resolution, int(residual)]), latents, grid.rows, grid.columns):
        stream.add(values)
    return np.array([unit], "<f4").tobytes() + stream.finish()


def latent_bytes(rows: int, cols: int) -> int:
    """Bytes of the signs of one latent."""
    return -(-rows // 8) + -(-cols // 8)


def _read_scales(
    data: np.ndarray, rows: int, cols: int, sections: Mapping[str, Buffer]
) -> tuple[np.float32, np.ndarray, Grid, bool]:
    """Unit, latents and grid; the signs must hold as many latents as stand here, before anything is made of them."""
    if data.size < 4:
        raise SubbitError("the scales are cut off", kind="section")
    unit = np.float32(np.frombuffer(data[:4].tobytes(), "<f4")[0])
    stream = IntegerReader(data[4:])
    rank, resolution, residual = stream.take(3).tolist()
    section_bytes(sections, "rows", rank * -(-rows // 8))
    section_bytes(sections, "columns", rank * -(-cols // 8))
    if resolution > FINEST or residual > 1 or residual != ("residual" in sections):
        raise SubbitError(f"factors of resolution {resolution} with {residual} residuals", kind="section")
    latents = stream.take(rank, LATENT_LIMIT)
    row_codes, col_codes = (stream.take(count, RANGE << resolution) for count in (rows, cols))
    if stream.finish() != data.size - 4:
        raise SubbitError("bytes behind the scales", kind="section")
    return unit, latents, Grid(row_codes, col_codes, resolution), bool(residual)
