from __future__ import annotations

from pathlib import Path

from benchmarks.trust import edits, flips, peers
from benchmarks.trust.damage import overlooked
from benchmarks.trust.seeds import goldens
from formats.bad.forge import forged, take_apart


def test_no_flip_cut_or_tail_is_overlooked() -> None:
    found = flips.prove(0.003)
    assert [proof.failures for proof in found] == [(), (), ()]
    assert [proof.tried > 10 for proof in found] == [True, True, True]
    assert set(found[0].peers) == set(peers.PEERS)


def test_no_edit_is_overlooked() -> None:
    assert edits.prove(0.004)[0].failures == ()


def test_other_weights_behind_valid_checksums_are_told_apart(tmp_path: Path) -> None:
    good = goldens()["0.1/tiny-dense.sbit"]
    index, sections = take_apart(good)
    path = tmp_path / "f.sbit"
    path.write_bytes(good)
    assert overlooked(path, good) == ["unnoticed by verify"]
    path.write_bytes(forged(index, [bytes(len(sections[0]))]))
    assert overlooked(path, good) == ["silent: other bytes are handed out", "unnoticed by verify"]
    path.write_bytes(forged(index | {"metadata": {"a": "b"}}, sections))
    assert overlooked(path, good) == ["silent: another index", "unnoticed by verify"]


def test_a_frame_with_a_checksum_is_better_than_one_without() -> None:
    for checksum, worst in ((True, 0), (False, 30)):
        outcome = peers.damaged(peers.zstd(checksum), 100, edits.changed_bytes)
        assert (outcome["silent"] > worst) is not checksum
