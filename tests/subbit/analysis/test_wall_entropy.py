from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from subbit.analysis.sign_entropy import code_lengths, rate_distortion, sign_entropy
from subbit.bits.entropy import binary_entropy
from subbit.bits.packing import unpack_signs
from subbit.signs import Angle, Hadamard, Hashed, LowRank, SignPlane, signs


def plane(which: SignPlane, rows: int, cols: int) -> np.ndarray:
    return unpack_signs(signs(which, b"", rows, cols), cols)


def coin(p: float, rows: int, cols: int) -> np.ndarray:
    return np.random.default_rng(7).random((rows, cols)) < p


@pytest.mark.parametrize("shape", [(512, 512), (96, 128), (2500, 40), (40, 2500), (9, 9)])
def test_random_signs_cost_one_bit(shape: tuple[int, int]) -> None:
    assert 0.999 <= sign_entropy(coin(0.5, *shape)).bits <= 1 + 3 / math.prod(shape)


@pytest.mark.parametrize("which", [Hashed(3), Hadamard(3)])
def test_pseudo_random_templates_look_random(which: SignPlane) -> None:
    assert 0.999 <= sign_entropy(plane(which, 256, 256)).bits <= 1.01


@pytest.mark.parametrize("p", [0.3, 0.1, 0.01])
def test_a_biased_coin_costs_its_entropy(p: float) -> None:
    found = sign_entropy(coin(p, 512, 512))
    assert found.best == "bias"
    assert found.bits == pytest.approx(binary_entropy(p), rel=0.02)


@pytest.mark.parametrize(("which", "most"), [(Angle(3), 0.2), (LowRank(1, 3), 0.1), (LowRank(4, 3), 0.5)])
def test_templates_of_low_rank_are_seen(which: SignPlane, most: float) -> None:
    found = sign_entropy(plane(which, 256, 256))
    assert found.best.startswith("similar")
    assert found.bits < most


def test_a_template_with_flips_costs_more_and_never_more_than_a_bit() -> None:
    clean = plane(Angle(1), 256, 256)
    costs = [sign_entropy(clean ^ coin(p, 256, 256)).bits for p in (0.0, 0.01, 0.1, 0.5)]
    assert costs == sorted(costs)
    assert costs[1] > binary_entropy(0.01)
    assert costs[-1] == pytest.approx(1, abs=0.001)


def test_neighbours_rows_and_columns_are_seen() -> None:
    waves = np.cumsum(coin(0.05, 256, 256), axis=1) % 2 == 1
    assert sign_entropy(waves).best == "neighbours"
    assert sign_entropy(waves).bits == pytest.approx(binary_entropy(0.05), rel=0.03)
    biased = np.random.default_rng(1).random((256, 256)) < np.linspace(0, 1, 256)[:, None]
    assert (sign_entropy(biased).best, sign_entropy(biased.T).best) == ("rows", "columns")


def test_every_code_is_a_probability_over_all_matrices() -> None:
    """The probabilities that a sequential code gives to all matrices of a shape add up to 1."""
    total: dict[str, float] = {}
    for number in range(1 << 9):
        matrix = (number >> np.arange(9) & 1).astype(bool).reshape(3, 3)
        for name, length in {**code_lengths(matrix), "all": 9 * sign_entropy(matrix).bits}.items():
            total[name] = total.get(name, 0.0) + 2.0**-length
    assert len(total) == 8
    for name, probability in total.items():
        assert probability == pytest.approx(1, abs=1e-9), name


@given(st.lists(st.booleans(), min_size=1, max_size=60))
@settings(deadline=None, max_examples=30)
def test_the_coin_is_what_a_sequential_coder_pays(bits: list[bool]) -> None:
    seen, length = [0, 0], 0.0
    for bit in bits:
        length -= math.log2((seen[bit] + 0.5) / (sum(seen) + 1))
        seen[bit] += 1
    assert code_lengths(np.array([bits]))["bias"] == pytest.approx(length)


def test_rate_distortion_is_the_binary_curve() -> None:
    assert rate_distortion(1.0, 0.0) == 1.0
    assert rate_distortion(1.0, 0.11) == pytest.approx(0.5, abs=1e-3)
    assert rate_distortion(0.4, 0.11) == rate_distortion(1.0, 0.5) == rate_distortion(1.0, 0.9) == 0.0


def test_zeros_have_no_sign_and_cost_nothing() -> None:
    negative, seen = coin(0.5, 256, 256), coin(0.2, 256, 256)[::-1]
    found = sign_entropy(negative & seen, seen)
    assert 0.999 <= found.bits <= 1.01
    assert sign_entropy(negative & seen).bits < 0.75  # as if zeros were +, of which most are
    rare = coin(0.1, 256, 256)
    assert sign_entropy(rare, seen).bits == pytest.approx(binary_entropy(rare[seen].mean()), rel=0.03)
    assert sign_entropy(rare, np.ones_like(rare)) == sign_entropy(rare)
    assert sign_entropy(rare, np.zeros_like(rare)).bits == 0
