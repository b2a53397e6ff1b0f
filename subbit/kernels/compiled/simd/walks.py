"""Values that a string of bits looks up, window after window, 32 at a time."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from llvmlite import ir
from numba.core import cgutils, types
from numba.extending import intrinsic

from subbit.kernels.compiled.simd.rounding import rounded, write
from subbit.kernels.compiled.simd.vectors import (
    FLOAT,
    LANES,
    SHORT,
    WORD,
    fused,
    load,
    put_totals,
    splat,
    vector,
)

__all__ = ["UNIT", "walk", "walk_dots"]

UNIT = 2 * LANES
"""Values whose windows are read from memory at once."""
_LINE = 64
_LONG = ir.IntType(64)


@intrinsic
def walk(
    typingctx: Any, string: Any, place: Any, absent: Any, table: Any, window: Any, units: Any, scales: Any,
    target: Any, weights: Any, bits: Any, kind: Any, stream: Any,
) -> Any:  # fmt: skip
    """target[j] = value[j] / 1024 · scales[j] for j < 32 · units, float32 rounded once; kind and stream as in `put`.

    Values are int16, `weights` to an entry of the table. The first entry is the one that `window`, a mask of low bits,
    leaves of the string from bit `place` on, the next one that `bits` further on. The first `absent` bits count as 0.
    All from `weights` on are literals; eight bytes can be read behind the string.
    """

    def build(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        string, place, absent, table, window, units, scales, target = arguments[:8]
        weights, bits, kind, stream = (part.literal_value for part in signature.args[8:])
        part, size = splat(builder, ir.Constant(FLOAT, 1 / 1024)), 2 if kind else 4
        with cgutils.for_range(builder, units) as loop:
            word = _word(builder, string, place, absent, loop.index, weights, bits)
            at = builder.add(scales, builder.mul(loop.index, _LONG(4 * UNIT)))
            found = []
            for half, values in enumerate(_values(builder, word, table, window, weights, bits)):
                scale = load(builder, builder.add(at, _LONG(4 * LANES * half)), vector(FLOAT), 4)
                found.append(builder.fmul(builder.fmul(values, part), scale))
            there = builder.add(target, builder.mul(loop.index, _LONG(size * UNIT)))
            for k, line in enumerate([found] if kind else [[half] for half in found]):
                write(builder, rounded(context, builder, line, kind), builder.add(there, _LONG(_LINE * k)), stream)
        return context.get_dummy_value()

    literals = weights, bits, kind, stream
    known = all(isinstance(part, types.IntegerLiteral | types.BooleanLiteral) for part in literals)
    arguments = *[types.intp] * 4, types.uint64, *[types.intp] * 3, *literals
    return (types.void(*arguments), build) if known else None


@intrinsic
def walk_dots(
    typingctx: Any, string: Any, places: Any, absent: Any, table: Any, window: Any, units: Any, x: Any, x_pitch: Any,
    sums: Any, rows: Any, lanes: Any, weights: Any, bits: Any,
) -> Any:  # fmt: skip
    """sums[r, b] = Σ over j < 32 · units of value[r, j] · x[b, j], float32, in registers.

    The values of row r are those of `walk` from places[r] on, with absent[r] bits (int64). Rows of x are `x_pitch`
    bytes apart; rows, lanes, weights and bits are literals.
    """

    def build(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        string, places, absent, table, window, units, x, x_pitch, sums = arguments[:9]
        rows, lanes, weights, bits = (part.literal_value for part in signature.args[9:])
        kind = vector(FLOAT)
        zero = ir.Constant(kind, [0.0] * LANES)
        held = [[cgutils.alloca_once_value(builder, zero) for _ in range(lanes)] for _ in range(rows)]
        for place in (place for row in held for place in row):
            builder.store(zero, place)
        starts, gone = (
            [load(builder, builder.add(base, _LONG(8 * r)), _LONG, 8) for r in range(rows)] for base in (places, absent)
        )
        with cgutils.for_range(builder, units) as loop:
            at = builder.add(x, builder.mul(loop.index, _LONG(4 * UNIT)))
            for start, none, row_sums in zip(starts, gone, held, strict=True):
                word = _word(builder, string, start, none, loop.index, weights, bits)
                for half, values in enumerate(_values(builder, word, table, window, weights, bits)):
                    for b, place in enumerate(row_sums):
                        address = builder.add(at, builder.mul(x_pitch, _LONG(b)))
                        number = load(builder, builder.add(address, _LONG(4 * LANES * half)), kind, 4)
                        builder.store(fused(builder, values, number, builder.load(place)), place)
        put_totals(builder, [place for row in held for place in row], sums)
        return context.get_dummy_value()

    literals = rows, lanes, weights, bits
    known = all(isinstance(part, types.IntegerLiteral) for part in literals)
    arguments = *[types.intp] * 4, types.uint64, *[types.intp] * 4, *literals
    return (types.void(*arguments), build) if known else None


def _word(
    builder: ir.IRBuilder, string: ir.Value, place: ir.Value, absent: ir.Value, unit: ir.Value, weights: int, bits: int
) -> ir.Value:
    """The bits of a unit's windows, the first of them lowest."""
    step = builder.mul(unit, _LONG(UNIT // weights * bits))
    at = builder.add(place, step)
    word = load(builder, builder.add(string, builder.lshr(at, _LONG(3))), _LONG, 1)
    word = builder.lshr(word, builder.and_(at, _LONG(7)))
    left = builder.sub(absent, step)
    left = builder.select(builder.icmp_signed(">", left, _LONG(0)), left, _LONG(0))
    return builder.and_(word, builder.shl(_LONG(2**64 - 1), left))


def _values(
    builder: ir.IRBuilder, word: ir.Value, table: ir.Value, window: ir.Value, weights: int, bits: int
) -> Sequence[ir.Value]:
    """The values of a unit as two vectors of float32."""
    parts = []
    for k in range(UNIT // weights):
        code = builder.and_(builder.lshr(word, _LONG(k * bits)), window)
        parts.append(
            load(builder, builder.add(table, builder.mul(code, _LONG(2 * weights))), vector(SHORT, weights), 2)
        )
    while len(parts) > 2:
        size = 2 * parts[0].type.count
        order = ir.Constant(vector(WORD, size), list(range(size)))
        parts = [builder.shuffle_vector(a, b, order) for a, b in zip(parts[::2], parts[1::2], strict=True)]
    return [builder.sitofp(builder.sext(part, vector(WORD)), vector(FLOAT)) for part in parts]
