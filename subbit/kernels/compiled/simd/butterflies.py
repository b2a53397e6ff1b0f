"""Four steps of a search along a bitshift trellis, for sixteen times sixteen states at a time, in registers."""

from __future__ import annotations

from typing import Any

from llvmlite import ir
from numba.core import cgutils, types
from numba.extending import intrinsic

from subbit.kernels.compiled.simd.vectors import FLOAT, LANES, SHORT, WORD, load, splat, store, vector

__all__ = ["APART", "BESIDE", "TURNED", "four_steps"]

BESIDE, APART, TURNED = 0, 1, 2
_STEPS, _LINE = 4, 64
_LONG = ir.IntType(64)


@intrinsic
def four_steps(
    typingctx: Any, costs: Any, size: Any, tables: Any, phases: Any, weights: Any, counts: Any, taken: Any, new: Any,
    lanes: Any,
) -> Any:  # fmt: skip
    """new[s] = the least cost of a walk to state s after four more bits, of float32 costs[size].

    Step j brings one bit and then counts[j] (int64) weights: float32 rows (x, u, last, spare) of `weights`, one step
    behind the other, of which each adds (x - u · value)². Where `last` is not 0, all costs are then told relative to
    that of state 0.

    Sixteen times sixteen states take their walks together, in sixteen registers of sixteen lanes. They differ in their
    four lowest bits, and in those that `lanes`, a literal, tells apart: bits 4 to 7 (BESIDE), or bits 8 to 11 (APART);
    slice q is what the other bits say. If register r of step j brought the bits r >> 3 - j and dropped r mod 2^(3 - j),
    its values are float32 tables[q, j, phase, r, lane], and bit `lane` of uint16 taken[j, q, r], r < 8, says that the
    odd one of the two states before it was the better.

    After BESIDE states are in order. After APART bits 4 to 7 of states are their lanes; that is how TURNED, which is
    BESIDE else, takes them. Addresses of costs and tables are best multiples of 64; 256 divides the size, 4096 with
    APART.
    """

    def build(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        costs, size, tables, phases, weights, counts, taken, new = arguments[:8]
        way, kind = signature.args[8].literal_value, vector(FLOAT)
        held = [cgutils.alloca_once(builder, kind) for _ in range(LANES)]
        slices = builder.lshr(size, _LONG(8))
        stride, plane = builder.lshr(size, _LONG(2)), builder.lshr(size, _LONG(4))  # bytes
        with cgutils.for_range(builder, slices) as loop:
            q = loop.index
            first, apart = builder.mul(q, _LONG(LANES * _LINE)), _LINE
            if way == APART:
                low, apart = builder.and_(q, _LONG(LANES - 1)), LANES * _LINE
                first = builder.add(builder.mul(builder.xor(q, low), _LONG(apart)), builder.mul(low, _LONG(_LINE)))
            here = builder.add(costs, first)
            states = [load(builder, _plus(builder, here, apart * r), kind, 4) for r in range(LANES)]
            states = states if way == TURNED else _transposed(builder, states)
            bits = builder.add(taken, builder.mul(q, _LONG(LANES)))
            values = builder.add(tables, builder.mul(builder.mul(q, phases), _LONG(_STEPS * LANES * _LINE)))
            weight = weights
            for j in range(_STEPS):
                for place, least in zip(held, 2 * _least(builder, states, bits), strict=True):
                    builder.store(least, place)
                count = load(builder, _plus(builder, counts, 8 * j), _LONG, 8)
                with cgutils.for_range(builder, count) as weighing:
                    row = builder.add(weight, builder.mul(weighing.index, _LONG(LANES)))
                    table = builder.add(values, builder.mul(weighing.index, _LONG(LANES * _LINE)))
                    _weigh(builder, held, row, table)
                    _lower(builder, held, row, q)
                weight = builder.add(weight, builder.mul(count, _LONG(LANES)))
                values = builder.add(values, builder.mul(phases, _LONG(LANES * _LINE)))
                bits = builder.add(bits, plane)
                states = [builder.load(place) for place in held]
            there = builder.add(new, builder.mul(q, _LONG(_LINE)))
            for r, state in enumerate(states):
                store(builder, state, builder.add(there, builder.mul(stride, _LONG(r))), 4)
        return context.get_dummy_value()

    known = isinstance(lanes, types.IntegerLiteral)
    return (types.void(*[types.intp] * 8, lanes), build) if known else None


def _plus(builder: ir.IRBuilder, address: ir.Value, count: int) -> ir.Value:
    return builder.add(address, _LONG(count))


def _transposed(builder: ir.IRBuilder, rows: list[ir.Value]) -> list[ir.Value]:
    """One vector for every place in the rows: halves of even and of odd places, and so on."""
    if len(rows) == 1:
        return rows
    halves = []
    for odd in range(2):
        mask = ir.Constant(vector(WORD), [2 * i + odd for i in range(LANES)])
        pairs = zip(rows[::2], rows[1::2], strict=True)
        halves.append(_transposed(builder, [builder.shuffle_vector(left, right, mask) for left, right in pairs]))
    return [one for pair in zip(*halves, strict=True) for one in pair]


def _least(builder: ir.IRBuilder, states: list[ir.Value], bits: ir.Value) -> list[ir.Value]:
    """The smaller of every two costs, the first of equal ones; which it was becomes sixteen bits."""
    found = []
    for r, (even, odd) in enumerate(zip(states[::2], states[1::2], strict=True)):
        less = builder.fcmp_ordered("<", odd, even)
        store(builder, builder.bitcast(less, SHORT), _plus(builder, bits, 2 * r), 2)
        found.append(builder.select(less, odd, even))
    return found


def _weigh(builder: ir.IRBuilder, held: list[ir.Value], row: ir.Value, table: ir.Value) -> None:
    x, u = (splat(builder, load(builder, _plus(builder, row, 4 * k), FLOAT, 4)) for k in range(2))
    for r, place in enumerate(held):
        value = load(builder, _plus(builder, table, _LINE * r), vector(FLOAT), 4)
        gap = builder.fsub(x, builder.fmul(u, value))
        builder.store(builder.fadd(builder.load(place), builder.fmul(gap, gap)), place)


def _lower(builder: ir.IRBuilder, held: list[ir.Value], row: ir.Value, q: ir.Value) -> None:
    """State 0 comes first: its cost is kept in the row for those that follow."""
    last, spare = load(builder, _plus(builder, row, 8), FLOAT, 4), _plus(builder, row, 12)
    with builder.if_then(builder.fcmp_ordered("!=", last, ir.Constant(FLOAT, 0.0)), likely=False):
        with builder.if_then(builder.icmp_unsigned("==", q, _LONG(0))):
            store(builder, builder.extract_element(builder.load(held[0]), ir.Constant(WORD, 0)), spare, 4)
        base = splat(builder, load(builder, spare, FLOAT, 4))
        for place in held:
            builder.store(builder.fsub(builder.load(place), base), place)
