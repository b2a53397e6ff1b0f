"""The proof that figures are honest holds, and notices figures that are not."""

from __future__ import annotations

from pathlib import Path

import pytest

from benchmarks.trust import honest


def test_it_holds() -> None:
    counted, forged = honest.prove(0.05)
    assert (counted.failures, forged.failures) == ((), ())
    assert (counted.tried, forged.tried > 60) == (3, True)


def test_it_notices_what_is_not_counted_or_not_compared(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    job = {"bits": 2.0, "shard_bytes": 9000}
    case = honest.written(tmp_path, job, 0)
    assert list(honest.bits(case, job)) == list(honest.errors(case)) == []
    assert any("more than was allowed" in what for what in honest.bits(case, {"bits": 1.0}))
    monkeypatch.setattr(honest, "bytes_of", lambda path: (1, 1, {}))
    assert len(list(honest.bits(case, job))) == 4
    monkeypatch.setattr("subbit.model.verifying.isclose", lambda *_, **__: True)
    assert not all(honest.refused(case) for _ in honest.forged_files(case))
