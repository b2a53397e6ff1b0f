from __future__ import annotations

import json
from pathlib import Path

import pytest

from benchmarks.trust import commands
from formats.bad.make_bad import ERRORS, HOME
from tests.cli.process import subbit


def test_hostile_files_get_one_line() -> None:
    found = commands.tried(200)
    assert (found.tried, found.failures) == (200, [])


def test_every_bad_file_gets_one_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SUBBIT_KERNELS", "plain")
    output = str(tmp_path / "out.safetensors")
    for name in json.loads((HOME / ERRORS).read_text(encoding="utf-8")):
        for command in (("inspect", "tensors"), ("verify", "-q"), ("decompress", "-q", "--output", output)):
            assert commands.complaint((*command, str(HOME / name))) is None, (command, name)
        assert not list(tmp_path.iterdir()), name


def test_in_processes_of_their_own(tmp_path: Path) -> None:
    for name in ("container/nested-json", "container/bomb-stated", "codecs/deadzone-model"):
        line = subbit("decompress", HOME / f"{name}.sbit", "-o", "out.safetensors", cwd=tmp_path).error(1)
        assert f"{name}.sbit" in line
    assert not list(tmp_path.iterdir())


def test_what_is_complained_of(tmp_path: Path) -> None:
    assert "exit code 2" in str(commands.complaint(("verify", "--no-such-option")))
    assert "exit code 1" not in str(commands.complaint(("verify", str(tmp_path / "missing"))))
