"""Signs from angles, a word at a time."""

from __future__ import annotations

from typing import Any

from llvmlite import ir
from numba.core import types
from numba.extending import intrinsic

from subbit.kernels.compiled.simd.vectors import SHORT, load, splat, vector

__all__ = ["angle_word"]


@intrinsic
def angle_word(typingctx: Any, angles: Any, turn: Any) -> Any:
    """The top bits of 64 wrapping sums angle + turn (uint16), as one uint64, first angle lowest."""

    def build(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        angles, turn = arguments
        total = builder.add(load(builder, angles, vector(SHORT, 64), 2), splat(builder, turn, 64))
        negative = builder.icmp_signed("<", total, ir.Constant(vector(SHORT, 64), [0] * 64))
        return builder.bitcast(negative, ir.IntType(64))

    return types.uint64(types.intp, types.uint16), build
