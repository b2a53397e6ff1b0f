"""The proof that files live for ever holds, and notices a decoder or a reader that breaks the promise."""

from __future__ import annotations

import pytest

from benchmarks.trust import for_ever


def test_it_holds() -> None:
    proofs = for_ever.prove(1)
    assert [(proof.failed, proof.failures) for proof in proofs] == [(0, ())] * 2
    assert min(proof.tried for proof in proofs) > 80


def test_it_notices_what_is_broken(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(for_ever, "second", lambda path: {})
    goldens, newer = for_ever.prove(0.1)
    assert goldens.failed == goldens.tried // 3
    assert newer.failed == newer.tried * 3 // 4
