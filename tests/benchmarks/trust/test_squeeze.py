from __future__ import annotations

from pathlib import Path

import pytest

from benchmarks.trust.squeeze import prove


@pytest.mark.skipif(not Path("/proc/self/statm").exists(), reason="reads /proc")
def test_too_little_memory_is_refused_in_so_many_words() -> None:
    (proof,) = prove(0.01)
    assert proof.failed == 0, proof.failures
    assert " 0 refused" not in proof.note
