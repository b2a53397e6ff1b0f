"""Bytes of rows into bytes of columns."""

from __future__ import annotations

from typing import Any

from llvmlite import ir
from numba.core import types
from numba.extending import intrinsic

from subbit.kernels.compiled.simd.vectors import WORD, load, store, vector

__all__ = ["transpose_bytes"]

_SIDE = 8


@intrinsic
def transpose_bytes(typingctx: Any, source: Any, pitch: Any, places: Any, target: Any, target_pitch: Any) -> Any:
    """Byte j of row `places[i]` (int32; rows are `pitch` bytes apart) to byte i of row j of the target; i, j < 8."""

    def build(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        source, pitch, places, target, target_pitch = arguments
        long, bytes_kind = ir.IntType(64), vector(ir.IntType(8), _SIDE * _SIDE)
        rows = ir.Constant(vector(long, _SIDE), ir.Undefined)
        for i in range(_SIDE):
            place = builder.sext(load(builder, builder.add(places, long(4 * i)), WORD, 4), long)
            row = load(builder, builder.add(source, builder.mul(pitch, place)), long, 1)
            rows = builder.insert_element(rows, row, WORD(i))
        mask = ir.Constant(
            vector(WORD, _SIDE * _SIDE), [_SIDE * (k % _SIDE) + k // _SIDE for k in range(_SIDE * _SIDE)]
        )
        turned = builder.shuffle_vector(builder.bitcast(rows, bytes_kind), ir.Constant(bytes_kind, ir.Undefined), mask)
        columns = builder.bitcast(turned, vector(long, _SIDE))
        for j in range(_SIDE):
            there = builder.add(target, builder.mul(target_pitch, long(j)))
            store(builder, builder.extract_element(columns, WORD(j)), there, 1)
        return context.get_dummy_value()

    return types.void(*[types.intp] * 5), build
