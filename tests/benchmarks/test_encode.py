from __future__ import annotations

import numpy as np
import pytest

from benchmarks import encode


@pytest.mark.parametrize("threads", [1, 2])
def test_every_encoder_of_ours_is_timed(threads: int) -> None:
    matrix = np.random.default_rng(0).standard_normal((64, 256), np.float32)
    rows = {row["name"]: row for row in encode.measure(list(encode.subjects()), matrix, turns=1, threads=threads)}
    assert set(rows) >= set(encode._OURS)
    assert all(row["weights_a_second"] > 0 for row in rows.values())
    assert 0.4 < rows["trellis, 0.5"]["bits"] < 0.6
    assert threads == 1 or all(row["one_thread"] > 0 for row in rows.values())


def test_the_table_has_two_columns_a_run_and_a_row_an_encoder() -> None:
    alone = {"name": "x", "bits": 0.5, "weights_a_second": 2e6, "yardsticks": 1.234}
    both = {"name": "x", "bits": 0.5, "weights_a_second": 3e6, "one_thread": 1.5}
    lines = encode.table({"runs": {"a": {"rows": [alone]}, "a, 2 threads": {"rows": [both]}}}).splitlines()
    assert lines[2] == "| x | 0.500 | 2.00 | 1.23 | 3.00 | 1.50 |"
    assert lines[0].count("|") == lines[1].count("|") == 7
