"""The last step of decoding: signs, rounding, and stores that may go past the caches."""

from __future__ import annotations

from typing import Any

from llvmlite import ir
from numba.core import types
from numba.extending import intrinsic

from subbit.kernels.compiled.simd.vectors import (
    BIT,
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

__all__ = ["narrows", "put"]

_LINE = 64


@intrinsic
def put(typingctx: Any, source: Any, scale: Any, signs: Any, target: Any, kind: Any, stream: Any) -> Any:
    """Sixteen float32 · scale, negated where a bit of `signs` (uint16) is set.

    As float32 (kind 0), float16 (1, only where the processor `narrows`) or bfloat16 (2).
    `kind` and `stream` are literals. A streaming store goes past the caches; the target is then aligned to its size.
    """

    def build(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        source, scale, signs, target, _, _ = arguments
        kind, stream = (part.literal_value for part in signature.args[4:])
        numbers = builder.fmul(load(builder, source, vector(FLOAT), 4), splat(builder, scale))
        bits = builder.bitcast(negated(builder, numbers, signs), vector(WORD))
        if kind == 0:
            found = builder.bitcast(bits, vector(FLOAT))
        elif kind == 1 and not _narrows(context):
            return context.get_dummy_value()  # is never called; the compiler would call what is not there
        elif kind == 1:
            found = builder.fptrunc(builder.bitcast(bits, vector(FLOAT)), vector(HALF))
        else:
            odd = builder.and_(builder.lshr(bits, numbers_of(16)), numbers_of(1))
            rounded = builder.add(builder.add(bits, numbers_of(0x7FFF)), odd)
            found = builder.trunc(builder.lshr(rounded, numbers_of(16)), vector(SHORT))
        size = _LINE if kind == 0 else _LINE // 2
        stored = store(builder, found, target, size if stream else size // LANES)
        if stream:
            stored.set_metadata("nontemporal", builder.module.add_metadata([ir.Constant(WORD, 1)]))
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
        return ir.Constant(BIT, int(_narrows(context)))

    return types.boolean(), build
