"""What all of them are built from: LLVM types, loads, stores, and steps that several take."""

from __future__ import annotations

from collections.abc import Sequence

from llvmlite import ir
from numba.core import cgutils

__all__ = [
    "BIT",
    "FLOAT",
    "HALF",
    "LANES",
    "SHORT",
    "WORD",
    "fused",
    "load",
    "negated",
    "numbers_of",
    "put_totals",
    "splat",
    "store",
    "vector",
]

LANES = 16
BIT, WORD, SHORT, FLOAT, HALF = ir.IntType(1), ir.IntType(32), ir.IntType(16), ir.FloatType(), ir.HalfType()


def vector(element: ir.Type, lanes: int = LANES) -> ir.VectorType:
    return ir.VectorType(element, lanes)


def load(builder: ir.IRBuilder, address: ir.Value, kind: ir.Type, align: int) -> ir.Value:
    return builder.load(builder.inttoptr(address, kind.as_pointer()), align=align)


def store(builder: ir.IRBuilder, value: ir.Value, address: ir.Value, align: int) -> ir.Instruction:
    return builder.store(value, builder.inttoptr(address, value.type.as_pointer()), align=align)


def splat(builder: ir.IRBuilder, value: ir.Value, lanes: int = LANES) -> ir.Value:
    kind = vector(value.type, lanes)
    single = builder.insert_element(ir.Constant(kind, ir.Undefined), value, ir.Constant(WORD, 0))
    return builder.shuffle_vector(
        single, ir.Constant(kind, ir.Undefined), ir.Constant(vector(WORD, lanes), [0] * lanes)
    )


def fused(builder: ir.IRBuilder, left: ir.Value, right: ir.Value, addend: ir.Value) -> ir.Value:
    """left · right + addend, rounded once where the processor can."""
    kind = left.type
    wanted = ir.FunctionType(kind, [kind] * 3)
    fused = cgutils.get_or_insert_function(builder.module, wanted, f"llvm.fmuladd.v{kind.count}f32")
    return builder.call(fused, (left, right, addend))


def negated(builder: ir.IRBuilder, numbers: ir.Value, signs: ir.Value) -> ir.Value:
    """The numbers, with the other sign where a bit of `signs` is set."""
    masks = builder.sext(builder.bitcast(signs, vector(BIT)), vector(WORD))
    bits = builder.xor(builder.bitcast(numbers, vector(WORD)), builder.and_(masks, numbers_of(0x80000000)))
    return builder.bitcast(bits, vector(FLOAT))


def numbers_of(value: int) -> ir.Constant:
    return ir.Constant(vector(WORD), [value] * LANES)


def put_totals(builder: ir.IRBuilder, places: Sequence[ir.Value], target: ir.Value) -> None:
    """The sums over the lanes of the vectors that stand in some places, in any order, one float32 behind the other."""
    wanted = ir.FunctionType(FLOAT, [FLOAT, vector(FLOAT)])
    total = cgutils.get_or_insert_function(builder.module, wanted, f"llvm.vector.reduce.fadd.v{LANES}f32")
    for k, place in enumerate(places):
        found = builder.call(total, (ir.Constant(FLOAT, 0.0), builder.load(place)), fastmath=("reassoc",))
        store(builder, found, builder.add(target, ir.IntType(64)(4 * k)), 4)
