"""The proof that signed files prove their origin holds, and notices signatures that are not looked at."""

from __future__ import annotations

import pytest

from benchmarks.trust import signed_files


def test_it_holds() -> None:
    proofs = signed_files.prove(0.01)
    assert [proof.failures for proof in proofs] == [()] * 3
    assert [proof.tried > least for proof, least in zip(proofs, (150, 90, 7), strict=True)] == [True] * 3


def test_it_notices_what_passes(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(signed_files, "refused", lambda path, public: False)
    changed, flipped, others = signed_files.prove(0.004)
    assert all(proof.failed == proof.tried > 0 for proof in (changed, flipped, others))
    assert len(changed.failures) == 10
