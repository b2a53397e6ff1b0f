from __future__ import annotations

import pytest

from benchmarks.trust import guided


def test_what_coverage_leads_to_is_refused_or_read() -> None:
    pytest.importorskip("atheris")
    code, said = guided.fuzz(300)
    assert code == 0, said[-2000:]
    assert "Done 300 runs" in said


def test_what_the_fuzzer_finds_is_reported(monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("atheris")
    monkeypatch.setattr(guided, "fuzz", lambda runs: (77, "#2 cov: 12 ft: 3\nAssertionError: IndexError"))
    (proof,) = guided.prove(0.001)
    assert (proof.failed, proof.note) == (1, "12 branches of the reader and the decoders reached")
    assert "IndexError" in proof.failures[0]
