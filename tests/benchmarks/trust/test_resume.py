from __future__ import annotations

import os
from pathlib import Path

import pytest

from benchmarks.trust import resuming
from benchmarks.trust.resume import killed, prove

pytestmark = pytest.mark.skipif(os.name != "posix", reason="forks and kills")


def test_the_same_bytes_after_kills() -> None:
    for proof in prove(0.02):
        assert proof.tried >= 2
        assert proof.failed == 0, proof.failures


def test_checkpoints_differ_where_they_should(tmp_path: Path) -> None:
    same, other = resuming.checkpoint(tmp_path / "a"), resuming.checkpoint(tmp_path / "b", 0)
    differ = [path.name for path in same.iterdir() if path.read_bytes() != (other / path.name).read_bytes()]
    assert differ == ["model-00001-of-00003.safetensors"]


def test_what_forgets_is_found_out() -> None:
    assert killed("forgetful", 1)["failures"]
