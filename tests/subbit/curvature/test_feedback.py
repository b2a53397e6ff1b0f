"""Pivoted factorization: twins to the bit, the factors give the matrix back, the order is by what is left."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from subbit import DeadZone, SubbitError
from subbit.curvature import Curvature, feedback
from subbit.kernels.compiled import cholesky as compiled
from subbit.kernels.plain import cholesky as plain


def moments(size: int, seed: int) -> np.ndarray:
    random = np.random.default_rng(seed)
    inputs = random.standard_normal((2 * size + 3, size)) * random.lognormal(size=size)
    return inputs.T @ inputs / len(inputs)


@settings(deadline=None, max_examples=25)
@given(st.integers(1, 110), st.integers(0, 99))
def test_twins(size: int, seed: int) -> None:
    found = []
    for kernels in (compiled, plain):
        outs = np.empty(size, np.intp), np.empty(size), np.empty((size, size), np.float32)
        kernels.pivoted(moments(size, seed), *outs)
        found.append([out.tobytes() for out in outs])
    assert found[0] == found[1]


def test_target_errors_add_up_to_the_cost() -> None:
    columns, random = moments(40, 0), np.random.default_rng(1)
    back = feedback(columns, damping=0.0)
    assert np.all(np.diff(back.variances[back.order]) >= 0)
    error = random.standard_normal((7, 40))
    ordered = error[:, back.order]
    of_targets = ordered @ back.factor.T.astype(np.float64)  # ones on the diagonal: the error itself
    cost = (of_targets**2 * back.variances[back.order]).sum()
    assert cost == pytest.approx(Curvature(columns, np.ones(7)).error(error), rel=1e-5)


def test_no_energy_is_refused() -> None:
    with pytest.raises(SubbitError) as caught:
        feedback(np.zeros((4, 4)))
    assert caught.value.kind == "curvature"


def test_feedback_loses_less_than_half_where_inputs_move_together() -> None:
    random = np.random.default_rng(0)
    weight = random.standard_normal((96, 128)).astype(np.float32)
    inputs = random.standard_normal((600, 16)) @ random.standard_normal((16, 128)) + random.standard_normal((600, 128))
    curvature = Curvature((inputs.T @ inputs / 600).astype(np.float32), random.lognormal(size=96))
    codec, errors = DeadZone(1.0), {}
    for name, importance in (("none", None), ("diagonal", curvature.importance()), ("full", curvature)):
        errors[name] = curvature.error(weight - codec.decode(codec.encode(weight, importance)))
    assert errors["diagonal"] < errors["none"]
    assert errors["full"] < 0.5 * errors["diagonal"]
