"""The last step of decoding: signs, rounding, and stores that may go past the caches."""

from __future__ import annotations

from typing import Any

from llvmlite import ir
from numba.core import types
from numba.extending import intrinsic

from subbit.kernels.compiled.simd.vectors import (
    FLOAT,
    HALF,
    LANES,
    SHORT,
    WORD,
    load,
    negated,
    numbers_of,
    splat,
    store,
    vector,
)

__all__ = ["put", "rounded", "write"]

_LINE = 64


@intrinsic
def put(typingctx: Any, source: Any, scale: Any, signs: Any, target: Any, kind: Any, stream: Any) -> Any:
    """Sixteen float32 · scale, negated where a bit of `signs` (uint16) is set.

    As float32 (kind 0), float16 (1) or bfloat16 (2). `kind` and `stream` are literals. A streaming store goes past the
    caches; the target is then aligned to its size.
    """

    def build(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        source, scale, signs, target, _, _ = arguments
        kind, stream = (part.literal_value for part in signature.args[4:])
        numbers = builder.fmul(load(builder, source, vector(FLOAT), 4), splat(builder, scale))
        write(builder, rounded(context, builder, [negated(builder, numbers, signs)], kind), target, stream)
        return context.get_dummy_value()

    known = all(isinstance(part, types.IntegerLiteral | types.BooleanLiteral) for part in (kind, stream))
    return (types.void(types.intp, types.float32, types.uint16, types.intp, kind, stream), build) if known else None


def write(builder: ir.IRBuilder, bits: ir.Value, target: ir.Value, stream: bool) -> None:
    """Store numbers; see `put` about streams."""
    size = bits.type.element.width // 8
    stored = store(builder, bits, target, size * bits.type.count if stream else size)
    if stream:
        stored.set_metadata("nontemporal", builder.module.add_metadata([ir.Constant(WORD, 1)]))


def rounded(context: Any, builder: ir.IRBuilder, numbers: list[ir.Value], kind: int) -> ir.Value:
    """The bits of sixteen float32, or of twice as many in two vectors, as numbers of a kind, to nearest even."""
    if kind == 0:
        return _joined(builder, [builder.bitcast(part, vector(WORD)) for part in numbers])
    if kind == 1 and _narrows(context):
        return _joined(
            builder, [builder.bitcast(builder.fptrunc(part, vector(HALF)), vector(SHORT)) for part in numbers]
        )
    if kind == 1:
        return _joined(builder, [_half(builder, part) for part in numbers])
    found = []
    for part in numbers:
        bits = builder.bitcast(part, vector(WORD))
        odd = builder.and_(builder.lshr(bits, numbers_of(16)), numbers_of(1))
        found.append(builder.add(builder.add(bits, numbers_of(0x7FFF)), odd))
    pieces = [builder.bitcast(part, vector(SHORT, 2 * LANES)) for part in found]
    return builder.shuffle_vector(
        pieces[0],
        pieces[-1],
        ir.Constant(vector(WORD, LANES * len(pieces)), list(range(1, 2 * LANES * len(pieces), 2))),
    )


def _joined(builder: ir.IRBuilder, parts: list[ir.Value]) -> ir.Value:
    count = len(parts) * LANES
    return builder.shuffle_vector(parts[0], parts[-1], ir.Constant(vector(WORD, count), list(range(count))))


def _narrows(context: Any) -> bool:
    """Whether the processor rounds to float16 by itself; the compiler would else call what is not there."""
    triple, _, features = context.codegen().magic_tuple()
    return triple.startswith(("aarch64", "arm64")) or "+f16c" in features


def _half(builder: ir.IRBuilder, numbers: ir.Value) -> ir.Value:
    """Float16 in integers. Below its normal numbers, adding one half leaves in the last bits what is wanted."""
    bits = builder.bitcast(numbers, vector(WORD))
    size = builder.and_(bits, numbers_of(0x7FFFFFFF))
    odd = builder.and_(builder.lshr(size, numbers_of(13)), numbers_of(1))
    normal = builder.lshr(builder.add(builder.add(size, numbers_of(0xC8000FFF)), odd), numbers_of(13))
    half = ir.Constant(vector(FLOAT), [0.5] * LANES)
    small = builder.bitcast(builder.fadd(builder.bitcast(size, vector(FLOAT)), half), vector(WORD))
    small = builder.sub(small, numbers_of(0x3F000000))
    found = builder.select(builder.icmp_unsigned("<", size, numbers_of(0x38800000)), small, normal)
    found = builder.select(builder.icmp_unsigned(">=", size, numbers_of(0x477FF000)), numbers_of(0x7C00), found)
    found = builder.select(builder.icmp_unsigned(">", size, numbers_of(0x7F800000)), numbers_of(0x7E00), found)
    sign = builder.and_(builder.lshr(bits, numbers_of(16)), numbers_of(0x8000))
    return builder.trunc(builder.or_(found, sign), vector(SHORT))
