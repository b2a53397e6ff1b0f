from __future__ import annotations

import numpy as np
import pytest

from subbit.analysis.spectrum import (
    compare_samples,
    kolmogorov_tail,
    random_singular_values,
    rank_error,
    singular_values,
)
from subbit.bits.packing import unpack_signs
from subbit.signs import Angle, signs


@pytest.mark.parametrize("shape", [(40, 90), (90, 40), (1, 5)])
def test_singular_values_are_those_of_numpy(shape: tuple[int, int]) -> None:
    matrix = np.random.default_rng(0).standard_normal(shape)
    exact = np.linalg.svd(matrix, compute_uv=False)
    assert np.allclose(singular_values(matrix), exact, atol=1e-3 * exact[0])


def test_an_angle_template_keeps_its_energy_in_few_ranks() -> None:
    negative = unpack_signs(signs(Angle(0), b"", 512, 512), 512)
    values = singular_values(1.0 - 2.0 * negative)
    for rank, kept in ((2, 0.8106), (4, 0.9006), (6, 0.933)):
        assert 1 - rank_error(values, rank / 512) == pytest.approx(kept, abs=0.01)


def test_random_signs_keep_62_percent_in_a_quarter_of_the_rank() -> None:
    assert 1 - rank_error(random_singular_values(384, 384, seed=0), 1 / 4) == pytest.approx(0.62, abs=0.01)
    assert rank_error(np.zeros(4), 1 / 4) == 0.0


def test_the_kolmogorov_distribution_has_its_known_quantiles() -> None:
    for x, p in ((1.2238, 0.10), (1.3581, 0.05), (1.6276, 0.01), (0.5, 0.9639), (1.18, 0.12345)):
        assert kolmogorov_tail(x) == pytest.approx(p, abs=1e-4)
    assert (kolmogorov_tail(0.0), kolmogorov_tail(-1.0)) == (1.0, 1.0)
    assert kolmogorov_tail(1.18 - 1e-9) == pytest.approx(kolmogorov_tail(1.18), abs=1e-7)


def test_p_values_are_uniform_where_the_samples_are_alike() -> None:
    random = np.random.default_rng(0)
    p = np.array([compare_samples(random.random(150), random.random(200))[1] for _ in range(400)])
    for level in (0.05, 0.2, 0.5, 0.8):
        assert np.mean(p < level) == pytest.approx(level, abs=0.06)


def test_differences_are_found() -> None:
    a = np.linspace(0, 1, 100)
    assert compare_samples(a, a) == (0.0, 1.0)
    distance, p = compare_samples(a, a + 0.5)
    assert (distance, p < 1e-9) == (pytest.approx(0.5, abs=0.01), True)
    plane = unpack_signs(signs(Angle(0), b"", 128, 128), 128)
    assert compare_samples(singular_values(1.0 - 2.0 * plane), random_singular_values(128, 128, seed=0))[1] < 1e-9


def test_it_agrees_with_scipy() -> None:
    stats = pytest.importorskip("scipy.stats")
    random = np.random.default_rng(1)
    for shift in (0.0, 0.1, 0.3):
        a, b = random.standard_normal(200), random.standard_normal(300) + shift
        expected = stats.ks_2samp(a, b, method="asymp")
        distance, p = compare_samples(a, b)
        assert distance == pytest.approx(expected.statistic)
        assert p == pytest.approx(expected.pvalue, rel=0.1, abs=0.01)
