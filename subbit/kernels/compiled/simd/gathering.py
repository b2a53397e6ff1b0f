"""Entries of a table in the order that codes name them, finished in registers."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from llvmlite import ir
from numba.core import cgutils, types
from numba.extending import intrinsic

from subbit.kernels.compiled.simd.rounding import rounded, write
from subbit.kernels.compiled.simd.vectors import BIT, FLOAT, LANES, SHORT, WORD, load, negated, splat, vector

__all__ = ["AT_ONCE", "gather_row"]

AT_ONCE = 4 * LANES
"""Numbers in a turn of the loop."""


@intrinsic
def gather_row(
    typingctx: Any, entries: Any, codes: Any, dim: Any, seams: Any, scale: Any, words: Any, angles: Any, turn: Any,
    target: Any, turns: Any, octets: Any, kind: Any, stream: Any, flipped: Any, turned: Any, whole: Any,
) -> Any:  # fmt: skip
    """target[0 : 64 · turns] = ± scale · entries, one after the other; `dim` float32 each, at least sixteen.

    Codes have one or two `octets` each. Where entries are not `whole`, which says that `dim` is sixteen, every sixteen
    numbers have a seam, int32[4]: the places of the codes that they begin and end with, how many bytes of the first
    entry are done, and a mask of the numbers that it still has; `dim` numbers can be read before and behind the
    entries. Signs are the bits of `words`, where `flipped`, XOR the top bits of angles + turn (uint16), where `turned`.
    Kind and stream as in `put`; all from `octets` on are literals.

    Nothing is read here that was stored just before: it would wait for the streams under way.
    """

    def build(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        entries, codes, dim, seams, scale, words, angles, turn, target, turns = arguments[:10]
        octets, kind, stream, flipped, turned, whole = (part.literal_value for part in signature.args[10:])
        long, lines = ir.IntType(64), 2 if kind else 1
        factor, turn = splat(builder, scale), splat(builder, turn, lines * LANES)
        table = _Table(builder, entries, codes, ir.IntType(8 * octets), long(LANES) if whole else dim)
        with cgutils.for_range(builder, turns) as loop:
            for line in range(0, AT_ONCE // LANES, lines):
                first = builder.add(builder.mul(loop.index, long(AT_ONCE // LANES)), long(line))
                found = []
                for part in range(lines):
                    index = builder.add(first, long(part))
                    if whole:
                        numbers = load(builder, table.entry(index), vector(FLOAT), 4)
                    else:
                        numbers = _joined(builder, table, builder.add(seams, builder.shl(index, long(4))))
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
    first = types.intp, types.intp, types.intp, types.intp, types.float32, types.intp, types.intp, types.uint16
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


def _joined(builder: ir.IRBuilder, table: _Table, seam: ir.Value) -> ir.Value:
    """Sixteen numbers of one entry, or the rest of it and the start of the next, as `seam` says."""
    long = ir.IntType(64)
    first, second, within, own = (
        builder.sext(load(builder, builder.add(seam, long(4 * k)), WORD, 4), long) for k in range(4)
    )
    here = builder.add(table.entry(first), within)
    there = builder.add(table.entry(second), builder.sub(within, builder.shl(table.dim, long(2))))
    mask = builder.bitcast(builder.trunc(own, SHORT), vector(BIT))
    return builder.select(mask, *(load(builder, address, vector(FLOAT), 4) for address in (here, there)))
