from __future__ import annotations

import os
from pathlib import Path

import pytest

from benchmarks.trust import disks
from benchmarks.trust.outputs import write
from subbit_formats.errors import SubbitError


@pytest.mark.skipif(os.name != "posix", reason="mounts and limits")
def test_full_and_read_only_disks_and_two_writers() -> None:
    proofs = disks.prove(0.03)
    assert len(proofs) >= 2
    for proof in proofs:
        assert proof.tried
        assert proof.failed == 0, proof.failures


@pytest.mark.parametrize(
    ("mark", "kind", "said"), [(2, "disk-full", "shows"), (1, "invalid", "is told as"), (1, "disk-full", "")]
)
def test_a_careless_refusal_is_found(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, mark: int, kind: str, said: str
) -> None:
    def careless(path: Path, count: int, _: int) -> None:
        write(path, count, mark)
        raise SubbitError("no", kind=kind)

    path = tmp_path / "m.sbit"
    write(path, 1, 1)
    monkeypatch.setattr(disks, "write", careless)
    found = disks._wrong(path, (1, 1), "", ("disk-full",))
    assert (said in found) if said else not found
