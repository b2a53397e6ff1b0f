from __future__ import annotations

import pytest

from subbit.errors import UsageError
from subbit.signs.seeds import seed_for


def test_seeds_are_the_same_for_ever():
    assert seed_for(0, "") == 0x18CC49CA5BEA08CA
    assert seed_for(7, "layers.0.q.weight") == 0x59870F7EB6EBEE80
    assert seed_for(2**64 - 1, "größe") == 0x75EA9B489E8C5CB7


def test_seeds_differ_by_name_and_seed():
    names = [f"layers.{i}.weight" for i in range(1000)]
    assert len({seed_for(seed, name) for seed in (0, 1, 2) for name in names}) == 3000
    assert all(0 <= seed_for(5, name) < 2**64 for name in names)


@pytest.mark.parametrize("seed", [-1, 2**64, 1.0, True, "0"])
def test_other_seeds_are_refused(seed):
    with pytest.raises(UsageError, match="seed="):
        seed_for(seed, "w")
