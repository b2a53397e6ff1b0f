from __future__ import annotations

import numpy as np
import pytest

from subbit.bits import costs
from subbit.bits.entropy import binary_entropy, entropy
from subbit.errors import SubbitError


def test_binary_entropy_at_known_points() -> None:
    assert binary_entropy(0.5) == 1
    assert binary_entropy(0) == binary_entropy(1) == 0
    assert binary_entropy(0.01) == pytest.approx(0.0807931, abs=1e-7)
    assert binary_entropy(0.3) == pytest.approx(binary_entropy(0.7))
    with pytest.raises(SubbitError):
        binary_entropy(1.1)


def test_entropy_of_histograms() -> None:
    assert entropy(np.full(256, 3)) == 8
    assert entropy(np.array([0, 7, 0])) == 0
    assert entropy(np.array([], np.int64)) == 0
    assert entropy(np.array([1, 99])) == pytest.approx(binary_entropy(0.01))


def test_prices_are_12_less_log2() -> None:
    expected = 12 - np.log2(np.maximum(np.arange(4097), 1))
    assert np.abs(costs.prices() / costs.UNIT - expected).max() < 2 / costs.UNIT
    assert costs.prices()[[1, 2, 4096]].tolist() == [12 * costs.UNIT, 11 * costs.UNIT, 0]
    assert costs.bit_costs(np.array([0, 1, 2048])).tolist() == [12, 12, 1]
