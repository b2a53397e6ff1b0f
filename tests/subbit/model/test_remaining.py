from __future__ import annotations

import pytest

from subbit.model.remaining import Remaining

MANY = 1 << 26


def test_the_share_is_of_time_and_not_of_weights() -> None:
    remaining = Remaining([("dense", MANY)] * 2 + [("trellis", MANY)] * 4)
    assert remaining.share() == 0
    remaining.took("dense", MANY, 1.0)
    remaining.took("trellis", MANY, 100.0)
    assert remaining.share() == pytest.approx(101 / 402, rel=0.05)
    for _ in range(3):
        remaining.took("trellis", MANY, 100.0)
    remaining.took("dense", MANY, 1.0)
    assert remaining.share() == 1


def test_guesses_are_corrected_by_what_is_known() -> None:
    fast, slow = (Remaining([("uniform", MANY), ("trellis", MANY)]) for _ in range(2))
    fast.took("uniform", MANY, 1.0)
    slow.took("uniform", MANY, 60.0)
    assert fast.share() == pytest.approx(slow.share(), rel=0.2)
    assert fast.share() == pytest.approx(1 / 11, rel=0.2)


def test_it_never_goes_back_and_small_tensors_say_little() -> None:
    remaining = Remaining([("dense", 500)] * 20 + [("dense", MANY)])
    shares = []
    for _ in range(20):
        remaining.took("dense", 500, 0.001)
        shares.append(remaining.share())
    assert shares == sorted(shares)
    assert shares[-1] < 0.05
    assert Remaining([]).share() == 1
