from __future__ import annotations

from pathlib import Path

from benchmarks.trust import meaning
from benchmarks.trust.seeds import goldens
from formats.bad.forge import forged, take_apart


def test_bad_files_are_refused_and_good_ones_have_one_spelling() -> None:
    bad, spellings = meaning.prove(0.005)
    assert bad.failures == spellings.failures == ()
    assert bad.tried > 200
    assert spellings.tried > 20


def test_another_spelling_is_told_apart(tmp_path: Path) -> None:
    path = tmp_path / "m.sbit"
    path.write_bytes(goldens()["0.1/signs.sbit"])
    assert meaning.rewritten(path) == path.read_bytes()
    index, sections = take_apart(path.read_bytes())
    path.write_bytes(forged(index | {"metadata": {"a": "b"}}, sections))
    assert meaning.rewritten(path) == path.read_bytes() != goldens()["0.1/signs.sbit"]
    path.write_bytes(path.read_bytes()[:-1])
    assert meaning.rewritten(path) is None
