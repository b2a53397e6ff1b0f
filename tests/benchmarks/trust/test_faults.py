from __future__ import annotations

import os
from pathlib import Path

import pytest

from benchmarks.trust import faulting
from benchmarks.trust.faults import prove

pytestmark = pytest.mark.skipif(os.name != "posix", reason="forks and kills")


def test_old_or_new_after_every_fault() -> None:
    for proof in prove(0.03):
        assert proof.tried > 5
        assert proof.failed == 0, proof.failures


def test_a_writer_in_place_is_found_out(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    whole = faulting.write

    def careless(path: Path, count: int, mark: int) -> None:
        whole(path.with_name("whole.sbit"), count, mark)
        data = path.with_name("whole.sbit").read_bytes()
        path.with_name("whole.sbit").unlink()
        file = os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC), "wb")
        file.write(data)
        file.close()

    monkeypatch.setattr(faulting, "CHANGES", ((1, 1),))
    monkeypatch.setattr(faulting, "write", careless)
    failures = faulting.faults("once", 1, tmp_path / "once")["failures"]
    assert any("torn" in failure for failure in failures)
    assert any("raises OSError" in failure for failure in failures)
