"""From a section to the rows of a matrix."""

from __future__ import annotations

import numpy as np

from subbit.codecs.blocks import rows_per_block
from subbit.codecs.magnitudes.base import Fill
from subbit.codecs.trellis.classes import UNIT
from subbit.codecs.trellis.model import Model, tile_rows
from subbit.codecs.trellis.values import values, windows
from subbit.errors import SubbitError
from subbit.kernels import kernel
from subbit.kernels.outputs import NO_SIGNS, finish, raw

__all__ = ["decoder", "filler"]

_BLOCKS = 8  # usual blocks at once, where the kernel has tiles of its own
_SLACK = 8  # bytes behind the last tile that kernels may read


def decoder(stored: np.ndarray, rows: int, cols: int, state_bits: int, signed: bool) -> tuple[Fill, int]:
    """Check a section and return the function that fills row blocks, and its rows a block."""
    model, start = Model.read(stored, rows, cols, signed)
    return filler(model, stored[start:], state_bits)


def filler(model: Model, packed: np.ndarray, state_bits: int) -> tuple[Fill, int]:
    """The same for a model and the bytes of its tiles; raises :class:`SubbitError` (kind "section") for other sizes."""
    grid = model.grid()
    starts = model.starts(grid)
    if packed.size != (starts[-1] + 7) // 8:
        raise SubbitError(f"{packed.size} bytes where {starts[-1]} bits are due", kind="section")
    packed = np.concatenate([packed, np.zeros(_SLACK, np.uint8)])
    table = values(state_bits, model.shape)
    step = tile_rows(grid.rates.shape[1])
    share = _share(grid.rates)
    even, at_once = windows(state_bits, model.shape, share) if share else (table, 0)

    def fill(first: int, stop: int, block: np.ndarray, stream: bool = False) -> None:
        of = grid.of[first:stop]
        tiles = starts[first // step :]
        if share and model.shape.signed:
            kernel("trellis").decode_even(packed, tiles, step, of, grid.scales, even, at_once, *raw(block), stream)
            return
        single = block if block.dtype == np.float32 else np.empty(block.shape, np.float32)
        if share:
            kernel("trellis").decode_even(packed, tiles, step, of, grid.scales, even, at_once, *raw(single), False)
        else:
            kernel("trellis").decode(packed, tiles, step, of, grid.rates, grid.scales, table, single)
        if not model.shape.signed:
            single += grid.centers[of]
            np.maximum(single, 0, out=single)
        if single is not block:
            finish(single, NO_SIGNS, block, stream)

    blocks = _BLOCKS if share and model.shape.signed else 1
    return fill, max(1, blocks * rows_per_block(grid.rates.shape[1]) // step) * step


def _share(rates: np.ndarray) -> int:
    """How many weights share each bit, if all groups of neighbours share one alike; else 0."""
    rate, cols = int(rates.flat[0]), rates.shape[1]
    share = UNIT // rate if 0 < rate <= UNIT and UNIT % rate == 0 else 0
    return share if share and cols % share == 0 and (rates == rate).all() else 0
