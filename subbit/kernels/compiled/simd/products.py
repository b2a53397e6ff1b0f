"""Products and sums of float32; those that say so are contracted."""

from __future__ import annotations

from typing import Any

from llvmlite import ir
from numba.core import cgutils, types
from numba.extending import intrinsic

from subbit.kernels.compiled.simd.vectors import FLOAT, LANES, SHORT, fused, load, negated, splat, store, vector

__all__ = ["add", "add_scaled", "combine", "dots", "scaled"]

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
def add(typingctx: Any, source: Any, target: Any, lanes: Any) -> Any:
    """target[0:lanes] += source[0:lanes], float32; `lanes` is a literal."""

    def build(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        kind = vector(FLOAT, signature.args[2].literal_value)
        left, right = (load(builder, address, kind, 4) for address in arguments[:2])
        store(builder, builder.fadd(left, right), arguments[1], 4)
        return context.get_dummy_value()

    known = isinstance(lanes, types.IntegerLiteral)
    return (types.void(types.intp, types.intp, lanes), build) if known else None


@intrinsic
def add_scaled(typingctx: Any, source: Any, factor: Any, target: Any, lanes: Any) -> Any:
    """target[0:lanes] += source[0:lanes] · factor, float32, contracted where that is faster; `lanes` is a literal."""

    def build(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        source, factor, target, _ = arguments
        lanes = signature.args[3].literal_value
        kind = vector(FLOAT, lanes)
        operands = load(builder, source, kind, 4), splat(builder, factor, lanes), load(builder, target, kind, 4)
        store(builder, fused(builder, *operands), target, 4)
        return context.get_dummy_value()

    known = isinstance(lanes, types.IntegerLiteral)
    return (types.void(types.intp, types.float32, types.intp, lanes), build) if known else None


@intrinsic
def combine(typingctx: Any, factors: Any, stride: Any, count: Any, numbers: Any, target: Any, lanes: Any) -> Any:
    """target[k, 0:lanes] = Σ over j < count of factors[j, k] · numbers[j, 0:lanes], for k < 4, all float32.

    Rows of factors are `stride` bytes apart; `lanes` is a literal. Sums stay in registers.
    """

    def build(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        factors, stride, count, numbers, target, _ = arguments
        lanes = signature.args[5].literal_value
        kind, long = vector(FLOAT, lanes), ir.IntType(64)
        sums = [cgutils.alloca_once_value(builder, ir.Constant(kind, [0.0] * lanes)) for _ in range(_TOGETHER)]
        for place in sums:
            builder.store(ir.Constant(kind, [0.0] * lanes), place)
        with cgutils.for_range(builder, count) as loop:
            number = load(builder, builder.add(numbers, builder.mul(loop.index, long(4 * lanes))), kind, 4)
            row = builder.add(factors, builder.mul(loop.index, stride))
            for k, place in enumerate(sums):
                factor = splat(builder, load(builder, builder.add(row, long(4 * k)), FLOAT, 4), lanes)
                builder.store(fused(builder, factor, number, builder.load(place)), place)
        for k, place in enumerate(sums):
            store(builder, builder.load(place), builder.add(target, long(4 * lanes * k)), 4)
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
        wanted = ir.FunctionType(FLOAT, [FLOAT, kind])
        total = cgutils.get_or_insert_function(builder.module, wanted, f"llvm.vector.reduce.fadd.v{LANES}f32")
        for k, place in enumerate(place for row in held for place in row):
            found = builder.call(total, (ir.Constant(FLOAT, 0.0), builder.load(place)), fastmath=("reassoc",))
            store(builder, found, builder.add(sums, long(4 * k)), 4)
        return context.get_dummy_value()

    known = isinstance(rows, types.IntegerLiteral) and isinstance(lanes, types.IntegerLiteral)
    return (types.void(*[types.intp] * 9, rows, lanes), build) if known else None
