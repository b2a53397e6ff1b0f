from __future__ import annotations

import shutil

import pytest

from benchmarks.trust.syscalls import misordered, prove


@pytest.mark.skipif(shutil.which("strace") is None, reason="no strace")
def test_system_calls() -> None:
    for proof in prove(0.005):
        assert proof.tried > 3
        assert proof.failed == 0, proof.failures


def test_what_is_out_of_order_is_found() -> None:
    log = [
        'write(3</d/.m.tmp>, ""..., 10) = 10',
        "fsync(3</d/.m.tmp>) = 0",
        'rename("/d/.m.tmp", "/d/m") = 0',
        "fsync(3</d>) = 0",
    ]
    assert not list(misordered(log))
    assert "before its data" in next(misordered([log[0], *log[2:]]))
    assert "no fsync of the folder" in next(misordered(log[:3]))
    index = 'linkat(AT_FDCWD</d>, "/d/.i.tmp", AT_FDCWD</d>, "/d/i.json", 0) = 0'
    assert "the index is named before" in next(misordered([*log[:3], index, log[3]]))
