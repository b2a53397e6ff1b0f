from __future__ import annotations

from benchmarks import load


def test_every_subject_is_timed_beside_the_others():
    rows = load.measure({"a.weight": (64, 128), "b.weight": (96, 64)}, turns=2, threads=1)
    assert [row["name"] for row in rows] == [load.TOUCHED, load.MAPPED, load.COPIED, *load.PLANES]
    assert all(row["milliseconds"] > 0 for row in rows)
    assert all(row["times"][row["name"]] == 1 for row in rows[:3])
    lines = load.table({"runs": {"two": {"rows": rows}}}).splitlines()
    assert len(lines) == 2 + len(load.PLANES)
    assert {line.count("|") for line in lines} == {7}
