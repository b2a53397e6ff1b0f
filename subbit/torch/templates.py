"""The seeded sign templates as torch tensors, computed on the device: the same bits as the kernels give.

torch has no unsigned 64-bit arithmetic. int64 wraps the same way in sums and products; only right shifts
need a mask, because they drag the sign along.
"""

from __future__ import annotations

import torch

from subbit.errors import SubbitError
from subbit.records import Shape, matrix_shape
from subbit.signs import Angle, Hadamard, Hashed, LowRank, SignPlane, word_count
from subbit.signs.hadamard import ODD_1, ODD_2, walsh_order

__all__ = ["template_signs"]

_GOLDEN = 0x9E3779B97F4A7C15
_WEIGHTS_AT_ONCE = 1 << 22


def template_signs(
    plane: SignPlane,
    shape: Shape,
    *,
    device: torch.device | str | None = None,
    dtype: torch.dtype = torch.int8,
) -> torch.Tensor:
    """A new tensor of +1 and −1: the signs that a seeded plane gives a weight of this shape.

    Shapes of more or less than two dimensions are seen as the matrix of `records.matrix_shape`. Raises
    :class:`SubbitError` (kind "template") for a plane without a seed.
    """
    rows, cols = matrix_shape(tuple(shape))
    out = torch.empty((rows, cols), dtype=dtype, device=device)
    step = max(1, _WEIGHTS_AT_ONCE // max(1, cols))
    for start in range(0, rows, step):
        block = out[start : start + step]
        row = torch.arange(start, start + len(block), device=out.device)
        block.copy_(1 - 2 * _negative(plane, rows, cols, row))
    return out.reshape(shape)


def _negative(plane: SignPlane, rows: int, cols: int, row: torch.Tensor) -> torch.Tensor:
    """1 where the sign is negative, for the chosen rows: an integer tensor (len(row), cols)."""
    col = torch.arange(cols, device=row.device)
    if isinstance(plane, Angle):
        return ((_word(plane.seed, 0, row)[:, None] + _word(plane.seed, 1, col)) >> 15) & 1
    if isinstance(plane, LowRank):
        return _lowrank(plane, row, col)
    if isinstance(plane, Hashed):
        return _bits(_words(plane.seed, 2, row, word_count(cols)), col)
    if isinstance(plane, Hadamard):
        return _hadamard(plane, rows, cols, row, col)
    raise SubbitError(f"signs of kind {plane.kind!r} cannot be computed from a seed", kind="template")


def _lowrank(plane: LowRank, row: torch.Tensor, col: torch.Tensor) -> torch.Tensor:
    product = torch.zeros((len(row), len(col)), dtype=torch.int32, device=row.device)
    row_factors = (_popcount(_words(plane.seed, 0, row, plane.rank)) - 32).int()
    col_factors = (_popcount(_words(plane.seed, 1, col, plane.rank)) - 32).int()
    for k in range(plane.rank):
        product.addcmul_(row_factors[:, k, None], col_factors[None, :, k])
    return (product < 0).to(torch.int8)


def _hadamard(plane: Hadamard, rows: int, cols: int, row: torch.Tensor, col: torch.Tensor) -> torch.Tensor:
    order = walsh_order(rows, cols)
    size = 1 << order
    parity = _scatter(row % size, order).int()[:, None] & _scatter(col % size, order).int()
    for shift in (16, 8, 4, 2, 1):
        parity ^= parity >> shift
    row_signs = (_words(plane.seed, 0, row, -(-cols // size)) & 1).int()
    block = torch.arange(-(-rows // size), device=row.device)
    col_signs = _bits(_words(plane.seed, 1, block, word_count(cols)), col).int()
    parity ^= row_signs[:, col // size]
    parity ^= col_signs[row // size]
    return parity & 1


def _scatter(index: torch.Tensor, order: int) -> torch.Tensor:
    code = index
    for odd in (ODD_1, ODD_2):
        code = (code * _signed(odd)) & ((1 << order) - 1)
        code = code ^ (code >> ((order + 1) // 2))
    return code


def _words(seed: int, stream: int, row: torch.Tensor, width: int) -> torch.Tensor:
    """The `width` words that each row has of a stream."""
    return _word(seed, stream, row[:, None] * width + torch.arange(width, device=row.device))


def _bits(words: torch.Tensor, col: torch.Tensor) -> torch.Tensor:
    """Bit col % 64 of word col // 64, for all rows of words and all columns."""
    return (words[:, col // 64] >> (col % 64)) & 1


def _word(seed: int, stream: int, counter: torch.Tensor) -> torch.Tensor:
    """The hash words of `kernels.counter_hash`, their 64 bits held in int64."""
    key = _mix(torch.tensor(_signed(seed + _GOLDEN * (stream + 1)), device=counter.device))
    return _mix(key + (counter + 1) * _signed(_GOLDEN))


def _mix(x: torch.Tensor) -> torch.Tensor:
    x = (x ^ _shifted(x, 30)) * _signed(0xBF58476D1CE4E5B9)
    x = (x ^ _shifted(x, 27)) * _signed(0x94D049BB133111EB)
    return x ^ _shifted(x, 31)


def _shifted(x: torch.Tensor, bits: int) -> torch.Tensor:
    return (x >> bits) & ((1 << (64 - bits)) - 1)


def _popcount(x: torch.Tensor) -> torch.Tensor:
    x = x - (_shifted(x, 1) & 0x5555555555555555)
    x = (x & 0x3333333333333333) + (_shifted(x, 2) & 0x3333333333333333)
    x = (x + _shifted(x, 4)) & 0x0F0F0F0F0F0F0F0F
    return _shifted(x * 0x0101010101010101, 56)


def _signed(value: int) -> int:
    """The int64 with the low 64 bits of `value`."""
    return ((value + (1 << 63)) & ((1 << 64) - 1)) - (1 << 63)
