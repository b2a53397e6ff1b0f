from __future__ import annotations

from pathlib import Path

import pytest

from benchmarks.trust.soak import leaks, prove, soaked

pytestmark = pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="reads /proc")


def test_a_short_soak() -> None:
    (proof,) = prove(0.001)
    assert proof.tried > 20
    assert proof.failed == 0, proof.failures


def test_leaks_are_found() -> None:
    flat = [(second, 100_000 + second % 7) for second in range(100)]
    assert leaks({"samples": flat, "lost": 0}) == []
    assert leaks({"samples": flat, "lost": 1}) == ["1 descriptors are lost"]
    (line,) = leaks({"samples": [(second, kib + 200 * second) for second, kib in flat], "lost": 0})
    assert line.startswith("memory grew")


def test_files_that_stay_open_are_found() -> None:
    (found,) = soaked(1, 1, leak=True)
    assert found["lost"] > 0
