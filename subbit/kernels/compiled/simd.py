"""Sixteen numbers at a time, as LLVM vectors: what the compiler of loops does not find by itself.

Addresses are intp and need no alignment, but for stores that stream. Every vector is lowered to what the processor has
(AVX-512, AVX2, SSE2, NEON), with the same bits: one multiplication, one rounding, no contraction.
"""

from __future__ import annotations

from typing import Any

from llvmlite import ir
from numba.core import cgutils, types
from numba.extending import intrinsic

__all__ = [
    "LANES", "add", "add_scaled", "angle_word", "combine", "copy", "dots", "fence", "move", "narrows", "put",
    "read_sixteen", "read_word", "scaled",
]  # fmt: skip

LANES = 16
_BIT, _WORD, _SHORT, _FLOAT, _HALF = ir.IntType(1), ir.IntType(32), ir.IntType(16), ir.FloatType(), ir.HalfType()
_LINE = 64
_TOGETHER = 4


def _vector(element: ir.Type, lanes: int = LANES) -> ir.VectorType:
    return ir.VectorType(element, lanes)


def _load(builder: ir.IRBuilder, address: ir.Value, kind: ir.Type, align: int) -> ir.Value:
    return builder.load(builder.inttoptr(address, kind.as_pointer()), align=align)


def _store(builder: ir.IRBuilder, value: ir.Value, address: ir.Value, align: int) -> ir.Instruction:
    return builder.store(value, builder.inttoptr(address, value.type.as_pointer()), align=align)


def _splat(builder: ir.IRBuilder, value: ir.Value, lanes: int = LANES) -> ir.Value:
    kind = _vector(value.type, lanes)
    single = builder.insert_element(ir.Constant(kind, ir.Undefined), value, ir.Constant(_WORD, 0))
    return builder.shuffle_vector(
        single, ir.Constant(kind, ir.Undefined), ir.Constant(_vector(_WORD, lanes), [0] * lanes)
    )


def _fused(builder: ir.IRBuilder, left: ir.Value, right: ir.Value, addend: ir.Value) -> ir.Value:
    """left · right + addend, rounded once where the processor can."""
    kind = left.type
    wanted = ir.FunctionType(kind, [kind] * 3)
    fused = cgutils.get_or_insert_function(builder.module, wanted, f"llvm.fmuladd.v{kind.count}f32")
    return builder.call(fused, (left, right, addend))


def _negated(builder: ir.IRBuilder, numbers: ir.Value, signs: ir.Value) -> ir.Value:
    """The numbers, with the other sign where a bit of `signs` is set."""
    masks = builder.sext(builder.bitcast(signs, _vector(_BIT)), _vector(_WORD))
    bits = builder.xor(builder.bitcast(numbers, _vector(_WORD)), builder.and_(masks, _numbers(0x80000000)))
    return builder.bitcast(bits, _vector(_FLOAT))


def _numbers(value: int) -> ir.Constant:
    return ir.Constant(_vector(_WORD), [value] * LANES)


@intrinsic
def scaled(typingctx: Any, source: Any, scale: Any, target: Any) -> Any:
    """target[0:16] = source[0:16] · scale, float32."""

    def build(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        source, scale, target = arguments
        product = builder.fmul(_load(builder, source, _vector(_FLOAT), 4), _splat(builder, scale))
        _store(builder, product, target, 4)
        return context.get_dummy_value()

    return types.void(types.intp, types.float32, types.intp), build


@intrinsic
def move(typingctx: Any, source: Any, target: Any, count: Any) -> Any:
    """target[0:count] = source[0:count], bytes; `count` is a literal power of two."""

    def build(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        found = _load(builder, arguments[0], ir.IntType(8 * signature.args[2].literal_value), 1)
        _store(builder, found, arguments[1], 1)
        return context.get_dummy_value()

    known = isinstance(count, types.IntegerLiteral)
    return (types.void(types.intp, types.intp, count), build) if known else None


@intrinsic
def add(typingctx: Any, source: Any, target: Any, lanes: Any) -> Any:
    """target[0:lanes] += source[0:lanes], float32; `lanes` is a literal."""

    def build(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        kind = _vector(_FLOAT, signature.args[2].literal_value)
        left, right = (_load(builder, address, kind, 4) for address in arguments[:2])
        _store(builder, builder.fadd(left, right), arguments[1], 4)
        return context.get_dummy_value()

    known = isinstance(lanes, types.IntegerLiteral)
    return (types.void(types.intp, types.intp, lanes), build) if known else None


@intrinsic
def add_scaled(typingctx: Any, source: Any, factor: Any, target: Any, lanes: Any) -> Any:
    """target[0:lanes] += source[0:lanes] · factor, float32, contracted where that is faster; `lanes` is a literal."""

    def build(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        source, factor, target, _ = arguments
        lanes = signature.args[3].literal_value
        kind = _vector(_FLOAT, lanes)
        operands = _load(builder, source, kind, 4), _splat(builder, factor, lanes), _load(builder, target, kind, 4)
        _store(builder, _fused(builder, *operands), target, 4)
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
        kind, long = _vector(_FLOAT, lanes), ir.IntType(64)
        sums = [cgutils.alloca_once_value(builder, ir.Constant(kind, [0.0] * lanes)) for _ in range(_TOGETHER)]
        for place in sums:
            builder.store(ir.Constant(kind, [0.0] * lanes), place)
        with cgutils.for_range(builder, count) as loop:
            number = _load(builder, builder.add(numbers, builder.mul(loop.index, long(4 * lanes))), kind, 4)
            row = builder.add(factors, builder.mul(loop.index, stride))
            for k, place in enumerate(sums):
                factor = _splat(builder, _load(builder, builder.add(row, long(4 * k)), _FLOAT, 4), lanes)
                builder.store(_fused(builder, factor, number, builder.load(place)), place)
        for k, place in enumerate(sums):
            _store(builder, builder.load(place), builder.add(target, long(4 * lanes * k)), 4)
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
    literals, and the product of both is at most the processor's vector registers.
    """

    def build(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        codes, pitch, signs, sign_pitch, entries, count, x, x_pitch, sums = arguments[:9]
        rows, lanes = (part.literal_value for part in signature.args[9:])
        kind, long = _vector(_FLOAT), ir.IntType(64)
        zero = ir.Constant(kind, [0.0] * LANES)
        held = [[cgutils.alloca_once_value(builder, zero) for _ in range(lanes)] for _ in range(rows)]
        for place in (place for row in held for place in row):
            builder.store(zero, place)
        with cgutils.for_range(builder, count) as loop:
            v = loop.index
            at = builder.add(x, builder.shl(v, long(6)))
            numbers = [_load(builder, builder.add(at, builder.mul(x_pitch, long(b))), kind, 4) for b in range(lanes)]
            for r, places in enumerate(held):
                code = _load(builder, builder.add(builder.add(codes, builder.mul(pitch, long(r))), v), ir.IntType(8), 1)
                entry = builder.add(entries, builder.shl(builder.zext(code, long), long(6)))
                row_signs = builder.add(builder.add(signs, builder.mul(sign_pitch, long(r))), builder.shl(v, long(1)))
                weight = _negated(builder, _load(builder, entry, kind, 4), _load(builder, row_signs, _SHORT, 2))
                for number, place in zip(numbers, places, strict=True):
                    builder.store(_fused(builder, weight, number, builder.load(place)), place)
        wanted = ir.FunctionType(_FLOAT, [_FLOAT, kind])
        total = cgutils.get_or_insert_function(builder.module, wanted, f"llvm.vector.reduce.fadd.v{LANES}f32")
        for k, place in enumerate(place for row in held for place in row):
            found = builder.call(total, (ir.Constant(_FLOAT, 0.0), builder.load(place)), fastmath=("reassoc",))
            _store(builder, found, builder.add(sums, long(4 * k)), 4)
        return context.get_dummy_value()

    known = isinstance(rows, types.IntegerLiteral) and isinstance(lanes, types.IntegerLiteral)
    return (types.void(*[types.intp] * 9, rows, lanes), build) if known else None


@intrinsic
def angle_word(typingctx: Any, angles: Any, turn: Any) -> Any:
    """The top bits of 64 wrapping sums angle + turn (uint16), as one uint64, first angle lowest."""

    def build(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        angles, turn = arguments
        total = builder.add(_load(builder, angles, _vector(_SHORT, 64), 2), _splat(builder, turn, 64))
        negative = builder.icmp_signed("<", total, ir.Constant(_vector(_SHORT, 64), [0] * 64))
        return builder.bitcast(negative, ir.IntType(64))

    return types.uint64(types.intp, types.uint16), build


@intrinsic
def put(typingctx: Any, source: Any, scale: Any, signs: Any, target: Any, kind: Any, stream: Any) -> Any:
    """Sixteen float32 · scale, negated where a bit of `signs` (uint16) is set.

    As float32 (kind 0), float16 (1, only where the processor `narrows`) or bfloat16 (2).
    `kind` and `stream` are literals. A streaming store goes past the caches; the target is then aligned to its size.
    """

    def build(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        source, scale, signs, target, _, _ = arguments
        kind, stream = (part.literal_value for part in signature.args[4:])
        numbers = builder.fmul(_load(builder, source, _vector(_FLOAT), 4), _splat(builder, scale))
        bits = builder.bitcast(_negated(builder, numbers, signs), _vector(_WORD))
        if kind == 0:
            found = builder.bitcast(bits, _vector(_FLOAT))
        elif kind == 1 and not _narrows(context):
            return context.get_dummy_value()  # is never called; the compiler would call what is not there
        elif kind == 1:
            found = builder.fptrunc(builder.bitcast(bits, _vector(_FLOAT)), _vector(_HALF))
        else:
            odd = builder.and_(builder.lshr(bits, _numbers(16)), _numbers(1))
            rounded = builder.add(builder.add(bits, _numbers(0x7FFF)), odd)
            found = builder.trunc(builder.lshr(rounded, _numbers(16)), _vector(_SHORT))
        size = _LINE if kind == 0 else _LINE // 2
        stored = _store(builder, found, target, size if stream else size // LANES)
        if stream:
            stored.set_metadata("nontemporal", builder.module.add_metadata([ir.Constant(_WORD, 1)]))
        return context.get_dummy_value()

    known = all(isinstance(part, types.IntegerLiteral | types.BooleanLiteral) for part in (kind, stream))
    return (types.void(types.intp, types.float32, types.uint16, types.intp, kind, stream), build) if known else None


def _narrows(context: Any) -> bool:
    triple, _, features = context.codegen().magic_tuple()
    return triple.startswith(("aarch64", "arm64")) or "+f16c" in features


@intrinsic
def narrows(typingctx: Any) -> Any:
    """Whether the processor rounds to float16 by itself."""

    def build(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        return ir.Constant(_BIT, int(_narrows(context)))

    return types.boolean(), build


@intrinsic
def read_word(typingctx: Any, address: Any) -> Any:
    """The uint64 at an address."""

    def build(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        return _load(builder, arguments[0], ir.IntType(64), 1)

    return types.uint64(types.intp), build


@intrinsic
def read_sixteen(typingctx: Any, address: Any) -> Any:
    """The uint16 at an address."""

    def build(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        return _load(builder, arguments[0], _SHORT, 2)

    return types.uint16(types.intp), build


@intrinsic
def copy(typingctx: Any, source: Any, target: Any, count: Any) -> Any:
    """Copy `count` bytes between memory that does not overlap."""

    def build(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        source, target, count = arguments
        byte = ir.IntType(8).as_pointer()
        cgutils.raw_memcpy(builder, builder.inttoptr(target, byte), builder.inttoptr(source, byte), count, 1)
        return context.get_dummy_value()

    return types.void(types.intp, types.intp, types.intp), build


@intrinsic
def fence(typingctx: Any) -> Any:
    """Wait for streaming stores, so that other threads see them."""

    def build(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        builder.fence("seq_cst")
        return context.get_dummy_value()

    return types.void(), build
