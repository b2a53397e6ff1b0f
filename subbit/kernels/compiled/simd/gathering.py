"""Entries of a table in the order that codes name them, finished in registers."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from llvmlite import ir
from numba.core import cgutils, types
from numba.extending import intrinsic

from subbit.kernels.compiled.simd.rounding import rounded, write
from subbit.kernels.compiled.simd.vectors import FLOAT, LANES, SHORT, WORD, load, negated, splat, vector

__all__ = ["AT_ONCE", "gather_row"]

AT_ONCE = 4 * LANES
"""Numbers in a turn of the loop."""


@intrinsic
def gather_row(
    typingctx: Any, entries: Any, codes: Any, dim: Any, scale: Any, words: Any, angles: Any, turn: Any,
    target: Any, turns: Any, octets: Any, kind: Any, stream: Any, flipped: Any, turned: Any, whole: Any,
) -> Any:  # fmt: skip
    """target[0 : 64 · turns] = ± scale · entries, one after the other; `dim` float32 each, at least sixteen.

    Codes have one or two `octets` each; sixteen numbers can be read before and behind the entries. The signs: bits of
    `words`, where `flipped`, XOR the top bits of angles + turn (uint16), where `turned`. Kind and stream as in `put`;
    all from `octets` on are literals, and `whole` says that `dim` is sixteen.

    Nothing is read here that was stored just before: it would wait for the streams under way.
    """

    def build(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        entries, codes, dim, scale, words, angles, turn, target, turns = arguments[:9]
        octets, kind, stream, flipped, turned, whole = (part.literal_value for part in signature.args[9:])
        long, lines = ir.IntType(64), 2 if kind else 1
        factor, turn = splat(builder, scale), splat(builder, turn, lines * LANES)
        table = _Table(builder, entries, codes, ir.IntType(8 * octets), long(LANES) if whole else dim)
        walk = None if whole else _Walk(builder, table, dim)
        with cgutils.for_range(builder, turns) as loop:
            for line in range(0, AT_ONCE // LANES, lines):
                first = builder.add(builder.mul(loop.index, long(AT_ONCE // LANES)), long(line))
                found = []
                for part in range(lines):
                    index = builder.add(first, long(part))
                    if walk:
                        numbers = walk.next()
                    else:
                        numbers = load(builder, table.entry(index), vector(FLOAT), 4)
                    numbers = builder.fmul(numbers, factor)
                    if flipped:
                        signs = load(builder, builder.add(words, builder.shl(index, long(1))), SHORT, 2)
                        numbers = negated(builder, numbers, signs)
                    found.append(numbers)
                bits = rounded(context, builder, found, kind)
                if turned:
                    at = builder.add(angles, builder.mul(first, long(2 * LANES)))
                    total = builder.add(load(builder, at, vector(SHORT, lines * LANES), 2), turn)
                    bits = builder.xor(bits, _top(builder, total, bits.type))
                write(builder, bits, builder.add(target, builder.mul(first, long(4 * LANES // lines))), stream)
        return context.get_dummy_value()

    literals = octets, kind, stream, flipped, turned, whole
    known = all(isinstance(part, types.IntegerLiteral | types.BooleanLiteral) for part in literals)
    first = types.intp, types.intp, types.intp, types.float32, types.intp, types.intp, types.uint16
    return (types.void(*first, types.intp, types.intp, *literals), build) if known else None


def _top(builder: ir.IRBuilder, total: ir.Value, kind: ir.VectorType) -> ir.Value:
    """The top bits of uint16, as those of another kind of integers."""
    if kind.element.width > total.type.element.width:
        total = builder.sext(total, kind)
    return builder.and_(total, ir.Constant(kind, [1 << (kind.element.width - 1)] * kind.count))


@dataclass(frozen=True)
class _Table:
    """Where the entry stands that the code in some place names."""

    builder: ir.IRBuilder
    entries: ir.Value
    codes: ir.Value
    kind: ir.IntType
    dim: ir.Value

    def entry(self, place: ir.Value) -> ir.Value:
        builder, long, octets = self.builder, ir.IntType(64), self.kind.width // 8
        code = load(builder, builder.add(self.codes, builder.mul(place, long(octets))), self.kind, octets)
        return builder.add(self.entries, builder.mul(builder.zext(code, long), builder.shl(self.dim, long(2))))


class _Walk:
    """Sixteen numbers after the other: of one entry, or its rest and the start of the next."""

    def __init__(self, builder: ir.IRBuilder, table: _Table, dim: ir.Value) -> None:
        self.builder, self.table, self.dim = builder, table, dim
        self.place = cgutils.alloca_once_value(builder, ir.IntType(64)(0))
        self.within = cgutils.alloca_once_value(builder, ir.IntType(64)(0))

    def next(self) -> ir.Value:
        builder, long = self.builder, ir.IntType(64)
        place, within = builder.load(self.place), builder.load(self.within)
        left, end = builder.sub(self.dim, within), builder.add(within, long(LANES))
        split = builder.icmp_signed("<", left, long(LANES))
        own = builder.select(split, left, long(LANES))
        here = builder.add(self.table.entry(place), builder.shl(within, long(2)))
        there = builder.sub(self.table.entry(builder.add(place, builder.zext(split, long))), builder.shl(own, long(2)))
        over = builder.icmp_signed(">=", end, self.dim)
        builder.store(builder.add(place, builder.zext(over, long)), self.place)
        builder.store(builder.select(over, builder.sub(end, self.dim), end), self.within)
        lanes = ir.Constant(vector(WORD), list(range(LANES)))
        mask = builder.icmp_signed("<", lanes, splat(builder, builder.trunc(own, WORD)))
        return builder.select(mask, *(load(builder, address, vector(FLOAT), 4) for address in (here, there)))
