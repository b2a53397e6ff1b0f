"""Streaming in a byte a weight against the definition, read literally, on whole walks."""

from __future__ import annotations

import math
import os
from itertools import pairwise
from unittest import mock

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from subbit.errors import UsageError
from subbit.signs.excursions import MOST_COUNTED, Excursions


def literal(walk: np.ndarray, rho: np.float32, eps: np.float32) -> tuple[bool, bool, int]:
    """Whether σ₀ and τ₁ are finite, and K_eff, of one float32 walk: infima taken one after the other."""

    def first_after(t: int, condition: np.ndarray) -> int | None:
        return next((s for s in range(t, len(walk)) if condition[s]), None)

    outer, inner = np.abs(walk) >= rho, np.abs(walk) <= eps
    sigma = first_after(0, outer)
    reached, hit, changes = sigma is not None, False, 0
    while sigma is not None:
        tau = first_after(sigma + 1, inner)
        hit |= tau is not None
        after = None if tau is None else first_after(tau + 1, outer)
        if after is not None:
            changes += np.signbit(walk[after]) != np.signbit(walk[sigma])
        sigma = after
    return reached, hit, changes


def check(walks: np.ndarray, rhos: list[float], eps: float) -> None:
    """`walks` float32[steps, weights]."""
    tracked = Excursions(walks[0], rhos, eps)
    assert tracked.nbytes <= 4 * walks.shape[1] + 16
    for before, now in pairwise(walks):
        tracked.update(now)
        assert tracked.step_flips == np.count_nonzero(np.signbit(before) != np.signbit(now))
    assert tracked.init_flips == np.count_nonzero(np.signbit(walks[0]) != np.signbit(walks[-1]))
    for which, rho in enumerate(rhos):
        found = [literal(walk, np.float32(rho), np.float32(eps)) for walk in walks.T]
        counts = np.bincount([min(changes, MOST_COUNTED) for _, _, changes in found], minlength=MOST_COUNTED + 1)
        counted = tracked.count(which)
        assert counted["outer"] == sum(reached for reached, _, _ in found)
        assert counted["hits"] == sum(hit for _, hit, _ in found)
        assert counted["k"] == counts.tolist()


@pytest.mark.parametrize("kernels", ["plain", "compiled"])
@given(seed=st.integers(0, 2**32), scale=st.sampled_from([0.02, 0.1, 0.5, 3.0]), start=st.sampled_from([0.0, 0.3, 2.0]))
@settings(deadline=None, max_examples=15)
def test_random_walks_are_counted_as_the_definition_says(kernels: str, seed: int, scale: float, start: float) -> None:
    random = np.random.default_rng(seed)
    steps = random.standard_normal((120, 40)) * scale
    steps[0] += random.choice([-start, start], 40)
    with mock.patch.dict(os.environ, {"SUBBIT_KERNELS": kernels}):
        check(np.cumsum(steps, axis=0).astype(np.float32), [0.25, 0.5, 1.0], 0.1)


@pytest.mark.parametrize("kernels", ["plain", "compiled"])
@given(walks=st.lists(st.lists(st.sampled_from([-2.0, -1.0, -0.5, -0.0, 0.0, 0.5, 1.0, 2.0, math.nan]), min_size=3,
                               max_size=3), min_size=2, max_size=12))  # fmt: skip
@settings(deadline=None, max_examples=40)
def test_thresholds_zeros_and_leaps(kernels: str, walks: list[list[float]]) -> None:
    with mock.patch.dict(os.environ, {"SUBBIT_KERNELS": kernels}):
        check(np.array(walks, np.float32), [1.0, 2.0], 0.5)


@pytest.mark.parametrize("kernels", ["plain", "compiled"])
def test_counts_saturate(kernels: str) -> None:
    walk = np.tile([1.0, 0.0, -1.0, 0.0], 40)[:, None].astype(np.float32)
    with mock.patch.dict(os.environ, {"SUBBIT_KERNELS": kernels}):
        check(walk, [1.0], 0.0)


def test_leaps_over_the_boundary_are_reported() -> None:
    tracked = Excursions(np.array([1.0, 1.0, -1.0]), [0.5], 0.1)
    tracked.update(np.array([-1.0, 0.05, -1.0]))
    assert tracked.count(0) == {"outer": 3, "hits": 1, "missed": 1, "k": [3] + [0] * 31}
    tracked.update(np.array([1.0, -1.0, -1.0]))
    assert tracked.count(0) == {"outer": 3, "hits": 1, "missed": 0, "k": [2, 1] + [0] * 30}
    assert (tracked.step_flips, tracked.init_flips, tracked.total_flips) == (2, 1, 3)


def test_memory_stays_below_four_bytes_a_weight() -> None:
    weights = np.ones(64_000, np.float32)
    assert Excursions(weights, [1.0, 2.0, 3.0], 0.1).nbytes == 3.25 * weights.size
    assert Excursions(weights).nbytes == 0.25 * weights.size


@pytest.mark.parametrize(
    ("rhos", "eps"), [([0.1], 0.1), ([1.0, 0.05], 0.1), ([math.nan], 0.1), ([1.0], -1.0), ([1.0, 2.0, 3.0, 4.0], 0.1)]
)
def test_thresholds_without_room_between_them_are_refused(rhos: list[float], eps: float) -> None:
    with pytest.raises(UsageError) as caught:
        Excursions(np.ones(3), rhos, eps)
    assert caught.value.kind == "rho"
    with pytest.raises(UsageError):
        Excursions(np.ones(3), [1.0], 0.1).update(np.ones(4))
