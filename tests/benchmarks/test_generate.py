from __future__ import annotations

import pytest

from benchmarks import generate
from benchmarks.signed import SMOLLM2
from subbit.signs import Angle

pytest.importorskip("transformers")


def test_both_models_write_and_are_timed():
    sizes = {"hidden_size": 36, "intermediate_size": 48, "num_hidden_layers": 2, "vocab_size": 40}
    rows = generate.measure(SMOLLM2 | sizes, Angle(seed=1), turns=2, threads=1)
    assert [row["name"] for row in rows] == [generate.DENSE, generate.PACKED]
    assert rows[0]["times"] == 1
    assert all(row["milliseconds_a_token"] > 0 for row in rows)
    assert generate.table({"runs": {"tiny": {"rows": rows}}}).splitlines()[2].startswith("| tiny | ")
