from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from benchmarks.trust import bounded
from benchmarks.trust.bounded import Bomb, cost

WITHOUT_MAX_BYTES = "an extra of 256 MiB that states 1000 bytes", "stated errors of 1 GiB"


def small(path: Path) -> None:
    """Takes 100 MiB, whatever the file."""
    np.ones(100 << 20, np.uint8)
    assert path.exists()


def test_bombs_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    names = [*WITHOUT_MAX_BYTES, "the same with max_bytes"]
    monkeypatch.setattr(bounded, "BOMBS", {name: bounded.BOMBS[name] for name in names})
    (proof,) = bounded.prove(1)
    assert (proof.tried, proof.failures) == (3, ())
    assert "extra-frame" in proof.note
    assert "max-bytes" in proof.note


def test_what_takes_too_much_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    assert cost(Bomb(lambda: b"", small)).memory > 90 << 20
    monkeypatch.setattr(bounded, "BOMBS", {"much": Bomb(lambda: b"", small)})
    assert bounded.prove(1)[0].failed == 1
