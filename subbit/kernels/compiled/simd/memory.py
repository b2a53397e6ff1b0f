"""Bytes from one place to another, and the order in which others see them."""

from __future__ import annotations

from typing import Any

from llvmlite import ir
from numba.core import cgutils, types
from numba.extending import intrinsic

from subbit.kernels.compiled.simd.vectors import load, store

__all__ = ["copy", "fence", "move", "read_word"]


@intrinsic
def move(typingctx: Any, source: Any, target: Any, count: Any) -> Any:
    """target[0:count] = source[0:count], bytes; `count` is a literal power of two."""

    def build(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        found = load(builder, arguments[0], ir.IntType(8 * signature.args[2].literal_value), 1)
        store(builder, found, arguments[1], 1)
        return context.get_dummy_value()

    known = isinstance(count, types.IntegerLiteral)
    return (types.void(types.intp, types.intp, count), build) if known else None


@intrinsic
def read_word(typingctx: Any, address: Any) -> Any:
    """The uint64 at an address."""

    def build(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        return load(builder, arguments[0], ir.IntType(64), 1)

    return types.uint64(types.intp), build


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
