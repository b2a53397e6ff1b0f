"""What a parent's tensor offers: its bits as they are, its signs, and itself, to code the difference from."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from subbit.codecs import Codec, Delta, Same
from subbit.codecs.scalar.costs import costs_of
from subbit.codecs.scalar.search import plain_scene, rate_distortion
from subbit.codecs.scalar.steps import in_range
from subbit.errors import SubbitError
from subbit.parents import content_hash
from subbit.records import Shape
from subbit.signs import Base
from subbit_formats.dtypes import dtype_name

__all__ = ["Find", "Relation", "keep", "nearest", "related", "untouched"]

_SAMPLED = 64  # rows on which errors are measured
_LOST = 0.01  # of the energy of a difference
_MARGIN = 1.01  # of bits over what the sample predicts

Find = Callable[[str], np.ndarray | None]
"""Reads the parent's tensor of a name; None if there is none."""


def untouched(weight: np.ndarray, parent: np.ndarray | None) -> Same | None:
    """The codec of a tensor that is its parent's to the bit; None for any other."""
    if parent is None or (weight.shape, weight.dtype) != (parent.shape, parent.dtype):
        return None
    known = content_hash(parent)
    return Same(known) if content_hash(weight) == known else None


@dataclass(frozen=True, eq=False)
class Relation:
    """How a tensor stands to its parent: the parent's signs, its tensor at hand, and the float32 matrix W − parent."""

    signs: Base
    difference: np.ndarray


def related(weight: np.ndarray, parent: np.ndarray | None) -> Relation | None:
    """The relation to a parent's tensor of the same shape; None where there is none or it is not finite."""
    if parent is None or weight.shape != parent.shape:
        return None
    try:
        return Relation(Base().given(parent), Delta().given(parent).difference(weight))
    except SubbitError as error:
        if error.kind != "parent":
            raise
        return None


def _as_exact(kept: Codec, weight: np.ndarray, relation: Relation) -> Delta | None:
    """A difference that errs no more than `kept` on the weights and loses no more than a hundredth of itself.

    The second is for the fine-tune, whose steps may be smaller than those of `kept`. None where that costs more.
    """
    difference, exponent = in_range(relation.difference)
    rows, cols = difference.shape
    chosen = np.arange(min(rows, _SAMPLED)) * rows // min(rows, _SAMPLED)
    part = np.ascontiguousarray(weight.reshape(rows, cols)[chosen], dtype=np.float32)
    errors = np.ldexp((kept.decode(kept.encode(part)) - part).astype(np.float64), -exponent)
    costs, steps = costs_of(None, rows, cols)
    points = rate_distortion(plain_scene(difference, steps.steps(), costs, True), kept.bits(weight.shape) / weight.size)
    allowed = math.fsum((errors * errors).ravel().tolist()) * rows / len(chosen)
    allowed = min(allowed, _LOST * max(error for _, error in points))
    bits = min((bits for bits, error in points if error <= allowed), default=math.inf)
    if bits * _MARGIN >= kept.bits(weight.shape):
        return None
    return Delta(rate=max(math.ceil(bits * _MARGIN / weight.size * 1e5), 1) / 1e5, parent=relation.signs.parent)


def keep(kept: Codec, shape: Shape, dtype: str, read: Callable[[], np.ndarray], parent: np.ndarray | None) -> Codec:
    """How to keep a tensor lossless: as its parent's where it is that to the bit, else as `kept`; reads if it must."""
    if parent is None or (shape, dtype) != (parent.shape, dtype_name(parent.dtype)):
        return kept
    return untouched(read(), parent) or kept


def nearest(kept: Codec, weight: np.ndarray, parent: np.ndarray | None) -> Codec:
    """The cheapest way to keep a matrix as exactly as `kept` does: the parent's, a difference, or `kept` itself."""
    if (same := untouched(weight, parent)) is not None:
        return same
    relation = related(weight, parent)
    return (None if relation is None else _as_exact(kept, weight, relation)) or kept
