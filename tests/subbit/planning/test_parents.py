from __future__ import annotations

import ml_dtypes
import numpy as np
import pytest
from checks import relative_error, weights

from subbit.codecs import Delta, Dense, Same, Uniform
from subbit.planning.parents import keep, nearest, related, untouched
from subbit.tensors import decode, encode


def test_untouched_means_type_shape_and_every_bit() -> None:
    weight = weights((8, 9))
    assert isinstance(untouched(weight, weight.copy()), Same)
    for other in (None, weight.astype(np.float64), weight.reshape(9, 8), weight + np.float32(1e-8), -weight):
        assert untouched(weight, other) is None
    zeros = np.zeros((2, 2), np.float32)
    assert untouched(zeros, -zeros) is None


def test_a_relation_needs_one_shape_and_finite_floats() -> None:
    weight = weights((8, 9))
    relation = related(weight, (weight / 2).astype(ml_dtypes.bfloat16))
    assert relation is not None
    assert np.array_equal(relation.difference, weight - (weight / 2).astype(ml_dtypes.bfloat16).astype(np.float32))
    broken = weight.copy()
    broken[0, 0] = np.inf
    for other in (None, weight.reshape(9, 8), broken, np.zeros((8, 9), np.int64), np.full((8, 9), 1e39)):
        assert related(weight, other) is None


@pytest.mark.parametrize("width", [4, 8])
def test_embeddings_stay_as_exact_for_fewer_bits(width: int) -> None:
    parent, kept = weights((600, 64)), Uniform(width=width)
    weight = parent + 0.01 * weights((600, 64), seed=3)
    chosen = nearest(kept, weight, parent)
    assert isinstance(chosen, Delta)
    encoded = encode(weight, chosen, parent=parent)
    assert encoded.bits < 0.9 * kept.bits(weight.shape)
    error = relative_error(weight, decode(encoded, parent=parent))
    assert error < 1.1 * relative_error(weight, kept.decode(kept.encode(weight)))
    assert error < 0.011 * relative_error(weight, parent)  # most of a step that is finer than those of `kept` stays


def test_what_has_no_near_parent_is_kept_as_ever() -> None:
    weight, kept = weights((60, 64)), Uniform()
    for parent in (None, weights((61, 64)), 10 * weights((60, 64), seed=3)):
        assert nearest(kept, weight, parent) is kept
    assert isinstance(nearest(kept, weight, weight), Same)


def test_lossless_tensors_are_read_only_to_be_compared() -> None:
    norm, dense = np.ones(8, np.float32), Dense()

    def read() -> np.ndarray:
        raise AssertionError("read")

    for parent in (None, np.ones(9, np.float32), np.ones(8)):
        assert keep(dense, (8,), "float32", read, parent) is dense
    assert isinstance(keep(dense, (8,), "float32", lambda: norm, norm.copy()), Same)
    assert keep(dense, (8,), "float32", lambda: norm, 2 * norm) is dense
