"""The nearest of many entries for four vectors at a time, scores in registers."""

from __future__ import annotations

from typing import Any

from llvmlite import ir
from numba.core import cgutils, types
from numba.extending import intrinsic

from subbit.kernels.compiled.simd.vectors import FLOAT, LANES, WORD, load, numbers_of, splat, store, vector

__all__ = ["ABREAST", "nearest_four"]

ABREAST = 64
_POINTS, _LONG = 4, ir.IntType(64)
_LAST = 2**31 - 1


@intrinsic
def nearest_four(
    typingctx: Any, points: Any, dim: Any, entries: Any, offsets: Any, groups: Any, codes: Any, scores: Any
) -> Any:
    """codes[i] = the first k of the smallest offsets[k] - Σ over j of points[i, j] · entry k[j], and that as scores[i].

    Sums are formed in the order of j. Points are float32[4, dim]; float32 entries[groups, dim, 64]
    and offsets[groups, 64] hold 64 entries side by side; codes are uint32.
    """

    def build(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        points, dim, entries, offsets, groups, codes, scores = arguments
        kind, wholes, parts = vector(FLOAT), vector(WORD), ABREAST // LANES
        rows = [builder.add(points, builder.mul(dim, _LONG(4 * i))) for i in range(_POINTS)]
        sums = [[cgutils.alloca_once(builder, kind) for _ in range(parts)] for _ in rows]
        least = [cgutils.alloca_once_value(builder, ir.Constant(kind, [float("inf")] * LANES)) for _ in rows]
        found = [cgutils.alloca_once_value(builder, ir.Constant(wholes, list(range(LANES)))) for _ in rows]
        with cgutils.for_range(builder, groups) as group:
            for part in range(parts):
                at = builder.add(builder.mul(group.index, _LONG(4 * ABREAST)), _LONG(4 * LANES * part))
                offset = load(builder, builder.add(offsets, at), kind, 4)
                for own in sums:
                    builder.store(offset, own[part])
            with cgutils.for_range(builder, dim) as component:
                j = component.index
                at = builder.mul(builder.add(builder.mul(group.index, dim), j), _LONG(4 * ABREAST))
                places = [builder.add(row, builder.shl(j, _LONG(2))) for row in rows]
                numbers = [splat(builder, load(builder, place, FLOAT, 4)) for place in places]
                for part in range(parts):
                    entry = load(builder, builder.add(builder.add(entries, at), _LONG(4 * LANES * part)), kind, 4)
                    for number, own in zip(numbers, sums, strict=True):
                        product = builder.fmul(number, entry)
                        builder.store(builder.fsub(builder.load(own[part]), product), own[part])
            for part in range(parts):
                first = builder.add(builder.shl(group.index, _LONG(6)), _LONG(LANES * part))
                here = builder.add(splat(builder, builder.trunc(first, WORD)), ir.Constant(wholes, list(range(LANES))))
                for own, best, which in zip(sums, least, found, strict=True):
                    score = builder.load(own[part])
                    less = builder.fcmp_ordered("<", score, builder.load(best))
                    builder.store(builder.select(less, here, builder.load(which)), which)
                    builder.store(builder.select(less, score, builder.load(best)), best)
        for i, (best, which) in enumerate(zip(least, found, strict=True)):
            code = _first_least(builder, builder.load(best), builder.load(which))
            score = builder.extract_element(builder.load(best), builder.and_(code, ir.Constant(WORD, LANES - 1)))
            store(builder, code, builder.add(codes, _LONG(4 * i)), 4)
            store(builder, score, builder.add(scores, _LONG(4 * i)), 4)
        return context.get_dummy_value()

    return types.void(*[types.intp] * 7), build


def _first_least(builder: ir.IRBuilder, scores: ir.Value, places: ir.Value) -> ir.Value:
    """The smallest place among those of the smallest score."""
    least, apart = scores, LANES // 2
    while apart:
        mask = ir.Constant(vector(WORD), [i ^ apart for i in range(LANES)])
        other = builder.shuffle_vector(least, least, mask)
        least = builder.select(builder.fcmp_ordered("<", other, least), other, least)
        apart //= 2
    candidates = builder.select(builder.fcmp_ordered("==", scores, least), places, numbers_of(_LAST))
    name = f"llvm.vector.reduce.umin.v{LANES}i32"
    smallest = cgutils.get_or_insert_function(builder.module, ir.FunctionType(WORD, [candidates.type]), name)
    return builder.call(smallest, [candidates])
