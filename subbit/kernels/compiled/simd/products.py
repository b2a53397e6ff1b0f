"""Products and sums of float32; those that say so are contracted."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from llvmlite import ir
from numba.core import cgutils, types
from numba.extending import intrinsic

from subbit.kernels.compiled.simd.vectors import (
    FLOAT,
    LANES,
    SHORT,
    WORD,
    fused,
    load,
    negated,
    put_totals,
    splat,
    store,
    vector,
)

__all__ = ["add_outer", "combine", "dots", "look_up", "scaled"]

_TOGETHER = 4


@intrinsic
def scaled(typingctx: Any, source: Any, scale: Any, target: Any) -> Any:
    """target[0:16] = source[0:16] · scale, float32."""

    def build(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        source, scale, target = arguments
        product = builder.fmul(load(builder, source, vector(FLOAT), 4), splat(builder, scale))
        store(builder, product, target, 4)
        return context.get_dummy_value()

    return types.void(types.intp, types.float32, types.intp), build


@intrinsic
def look_up(
    typingctx: Any, codes: Any, pitch: Any, tables: Any, table_pitch: Any, target: Any, lanes: Any, together: Any
) -> Any:
    """target[0:lanes] += Σ over k < together of table k[codes[k · pitch], 0:lanes], float32, its sum first.

    Codes are uint8; tables are `table_pitch` bytes apart; lanes and together, a power of two, are literals.
    """

    def build(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        codes, pitch, tables, table_pitch, target = arguments[:5]
        lanes, together = (part.literal_value for part in signature.args[5:])
        kind, long = vector(FLOAT, lanes), ir.IntType(64)
        found = []
        for k in range(together):
            code = load(builder, builder.add(codes, builder.mul(pitch, long(k))), ir.IntType(8), 1)
            entry = builder.mul(builder.zext(code, long), long(4 * lanes))
            table = builder.add(tables, builder.mul(table_pitch, long(k)))
            found.append(load(builder, builder.add(table, entry), kind, 4))
        while len(found) > 1:
            found = [builder.fadd(left, right) for left, right in zip(found[::2], found[1::2], strict=True)]
        store(builder, builder.fadd(load(builder, target, kind, 4), found[0]), target, 4)
        return context.get_dummy_value()

    known = isinstance(lanes, types.IntegerLiteral) and isinstance(together, types.IntegerLiteral)
    return (types.void(*[types.intp] * 5, lanes, together), build) if known else None


def _spread(builder: Any, numbers: Any, place: Callable[[int], int]) -> Any:
    """Sixteen numbers: the i-th is number place(i)."""
    mask = ir.Constant(vector(WORD), [place(i) for i in range(LANES)])
    return builder.shuffle_vector(numbers, ir.Constant(numbers.type, ir.Undefined), mask)


@intrinsic
def add_outer(typingctx: Any, factors: Any, count: Any, numbers: Any, target: Any, lanes: Any) -> Any:
    """target[i, b] += factors[i] · numbers[b], for i < count and b < lanes, float32, contracted where that is faster.

    `lanes` is a literal that divides sixteen, and sixteen divides the count.
    """

    def build(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        factors, count, numbers, target, _ = arguments
        lanes, long = signature.args[4].literal_value, ir.IntType(64)
        rows = LANES // lanes
        number = _spread(builder, load(builder, numbers, vector(FLOAT, lanes), 4), lambda i: i % lanes)
        with cgutils.for_range(builder, builder.udiv(count, long(rows))) as loop:
            place = builder.add(factors, builder.mul(loop.index, long(4 * rows)))
            factor = _spread(builder, load(builder, place, vector(FLOAT, rows), 4), lambda i: i // lanes)
            place = builder.add(target, builder.mul(loop.index, long(4 * LANES)))
            store(builder, fused(builder, factor, number, load(builder, place, vector(FLOAT), 4)), place, 4)
        return context.get_dummy_value()

    known = isinstance(lanes, types.IntegerLiteral)
    return (types.void(*[types.intp] * 4, lanes), build) if known else None


@intrinsic
def combine(typingctx: Any, factors: Any, count: Any, dim: Any, numbers: Any, target: Any, lanes: Any) -> Any:
    """target[i, b] = Σ over j < dim of factors[j, i] · numbers[j, b], for i < count and b < lanes, all float32.

    `lanes` is a literal that divides sixteen, and 64 / lanes divides the count. Sums stay in registers.
    """

    def build(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        factors, count, dim, numbers, target, _ = arguments
        lanes, kind, long = signature.args[5].literal_value, vector(FLOAT), ir.IntType(64)
        rows, zero = LANES // lanes, ir.Constant(kind, [0.0] * LANES)
        sums = [cgutils.alloca_once_value(builder, zero) for _ in range(_TOGETHER)]
        stride = builder.mul(count, long(4))
        with cgutils.for_range(builder, builder.udiv(count, long(rows * _TOGETHER))) as group:
            start = builder.add(factors, builder.mul(group.index, long(4 * rows * _TOGETHER)))
            for place in sums:
                builder.store(zero, place)
            with cgutils.for_range(builder, dim) as loop:
                at = builder.add(numbers, builder.mul(loop.index, long(4 * lanes)))
                number = _spread(builder, load(builder, at, vector(FLOAT, lanes), 4), lambda i: i % lanes)
                row = builder.add(start, builder.mul(loop.index, stride))
                for k, place in enumerate(sums):
                    some = load(builder, builder.add(row, long(4 * rows * k)), vector(FLOAT, rows), 4)
                    factor = _spread(builder, some, lambda i: i // lanes)
                    builder.store(fused(builder, factor, number, builder.load(place)), place)
            end = builder.add(target, builder.mul(group.index, long(4 * LANES * _TOGETHER)))
            for k, place in enumerate(sums):
                store(builder, builder.load(place), builder.add(end, long(4 * LANES * k)), 4)
        return context.get_dummy_value()

    known = isinstance(lanes, types.IntegerLiteral)
    return (types.void(*[types.intp] * 5, lanes), build) if known else None


@intrinsic
def dots(
    typingctx: Any, codes: Any, pitch: Any, signs: Any, sign_pitch: Any, entries: Any, count: Any, x: Any,
    x_pitch: Any, sums: Any, rows: Any, lanes: Any,
) -> Any:  # fmt: skip
    """sums[r, b] = Σ over v < count of ±entries[codes[r, v], 0:16] · x[b, 16 v : 16 v + 16], float32, in registers.

    `codes` are uint8, rows `pitch` bytes apart, and so the bits of their signs `sign_pitch` bytes; rows and lanes are
    literals, and the product of both is at most the processor"s vector registers.
    """

    def build(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        codes, pitch, signs, sign_pitch, entries, count, x, x_pitch, sums = arguments[:9]
        rows, lanes = (part.literal_value for part in signature.args[9:])
        kind, long = vector(FLOAT), ir.IntType(64)
        zero = ir.Constant(kind, [0.0] * LANES)
        held = [[cgutils.alloca_once_value(builder, zero) for _ in range(lanes)] for _ in range(rows)]
        for place in (place for row in held for place in row):
            builder.store(zero, place)
        with cgutils.for_range(builder, count) as loop:
            v = loop.index
            at = builder.add(x, builder.shl(v, long(6)))
            numbers = [load(builder, builder.add(at, builder.mul(x_pitch, long(b))), kind, 4) for b in range(lanes)]
            for r, places in enumerate(held):
                code = load(builder, builder.add(builder.add(codes, builder.mul(pitch, long(r))), v), ir.IntType(8), 1)
                entry = builder.add(entries, builder.shl(builder.zext(code, long), long(6)))
                row_signs = builder.add(builder.add(signs, builder.mul(sign_pitch, long(r))), builder.shl(v, long(1)))
                weight = negated(builder, load(builder, entry, kind, 4), load(builder, row_signs, SHORT, 2))
                for number, place in zip(numbers, places, strict=True):
                    builder.store(fused(builder, weight, number, builder.load(place)), place)
        put_totals(builder, [place for row in held for place in row], sums)
        return context.get_dummy_value()

    known = isinstance(rows, types.IntegerLiteral) and isinstance(lanes, types.IntegerLiteral)
    return (types.void(*[types.intp] * 9, rows, lanes), build) if known else None
