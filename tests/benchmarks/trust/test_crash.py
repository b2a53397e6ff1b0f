from __future__ import annotations

import os

import pytest

from benchmarks.trust.crash import killed, prove

pytestmark = pytest.mark.skipif(os.name != "posix", reason="forks and kills")


def test_nothing_is_torn() -> None:
    for proof in prove(0.02):
        assert proof.tried == 10
        assert proof.failed == 0, proof.failures


def test_a_writer_in_place_is_found_out() -> None:
    found = killed("careless", 40)
    assert found["torn"]
    assert "kill" in found["torn"][0]
