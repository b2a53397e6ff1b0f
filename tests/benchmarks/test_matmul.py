from __future__ import annotations

from benchmarks import matmul


def test_every_subject_is_timed_beside_torch_at_every_batch(monkeypatch):
    monkeypatch.setattr(matmul, "BATCHES", (1, 3))
    rows = matmul.measure(96, 128, turns=2, threads=1)
    assert {(row["name"], row["batch"]) for row in rows} >= {
        (name, batch) for name in matmul.CODECS for batch in (1, 3)
    }
    assert all(row["times"] == 1 for row in rows if row["name"] == matmul.DENSE)
    assert all(row["microseconds"] > 0 for row in rows)
    lines = matmul.table({"runs": {"96 × 128": {"rows": rows}}}).splitlines()
    assert lines[0] == "| 96 × 128, batch | 1 | 3 |"
    assert len(lines) == 2 + len(matmul.CODECS) + 2
