"""Small integers times a scale, finished in registers."""

from __future__ import annotations

from typing import Any

from llvmlite import ir
from numba.core import cgutils, types
from numba.extending import intrinsic

from subbit.kernels.compiled.simd.rounding import rounded, write
from subbit.kernels.compiled.simd.vectors import FLOAT, LANES, WORD, load, numbers_of, splat, vector

__all__ = ["expand"]

_LONG, _OCTET = ir.IntType(64), ir.IntType(8)
_LINE = 64


@intrinsic
def expand(
    typingctx: Any, codes: Any, scale: Any, units: Any, target: Any, width: Any, kind: Any, stream: Any
) -> Any:  # fmt: skip
    """target[j] = (code j - 2^(width - 1)) · scale for j < 32 · units; kind and stream as in `put`.

    Codes have 4 bits, the lower ones of a byte first, or 8; width, kind and stream are literals.
    """

    def build(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        codes, scale, units, target = arguments[:4]
        width, kind, stream = (part.literal_value for part in signature.args[4:])
        factor, octets, size = splat(builder, scale), LANES * width // 8, 2 if kind else 4
        with cgutils.for_range(builder, units) as loop:
            found = []
            for half in range(2):
                at = builder.add(builder.mul(loop.index, _LONG(2 * octets)), _LONG(half * octets))
                found.append(builder.fmul(_integers(builder, builder.add(codes, at), width), factor))
            there = builder.add(target, builder.mul(loop.index, _LONG(2 * LANES * size)))
            for k, line in enumerate([found] if kind else [[part] for part in found]):
                write(builder, rounded(context, builder, line, kind), builder.add(there, _LONG(_LINE * k)), stream)
        return context.get_dummy_value()

    literals = width, kind, stream
    known = all(isinstance(part, types.IntegerLiteral | types.BooleanLiteral) for part in literals)
    return (types.void(types.intp, types.float32, types.intp, types.intp, *literals), build) if known else None


def _integers(builder: ir.IRBuilder, codes: ir.Value, width: int) -> ir.Value:
    """Sixteen codes less their middle, as float32."""
    stored = load(builder, codes, vector(_OCTET, LANES * width // 8), 1)
    if width == 4:
        twice = ir.Constant(vector(WORD), [k // 2 for k in range(LANES)])
        stored = builder.shuffle_vector(stored, ir.Constant(stored.type, ir.Undefined), twice)
    wide = builder.zext(stored, vector(WORD))
    if width == 4:
        shifts = ir.Constant(vector(WORD), [4 * (k % 2) for k in range(LANES)])
        wide = builder.and_(builder.lshr(wide, shifts), numbers_of(15))
    return builder.sitofp(builder.sub(wide, numbers_of(1 << (width - 1))), vector(FLOAT))
