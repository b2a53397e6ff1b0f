"""Every bad file gives its error: from the reader, from the decoders with both kinds of kernels, from the commands."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from formats.bad.frames import frame, repeated
from formats.bad.make_bad import ERRORS, HOME, fragment, refusal
from subbit_formats.sbit.rules import RULES, SHARD_RULES

CASES: dict[str, dict[str, str]] = json.loads((HOME / ERRORS).read_text(encoding="utf-8"))
_GENERATED = {"tensor-count", "extra-count"}
"""Kinds whose index would be long: `test_rules` makes them without a file."""


@pytest.mark.parametrize("kernels", ["plain", "compiled"])
def test_each_gives_its_error(kernels: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SUBBIT_KERNELS", kernels)
    for name, expected in CASES.items():
        error = refusal(HOME / name)
        assert error is not None, name
        assert {"kind": error.kind, "message": fragment(error.message)} == expected, name
        assert error.hint, name
        assert error.path is not None, name
        assert Path(error.path).parent == (HOME / name).parent, name


def test_each_rule_has_a_bad_file() -> None:
    kinds = {expected["kind"] for expected in CASES.values()}
    assert (set(RULES) | set(SHARD_RULES)) - kinds == _GENERATED


def test_each_file_has_its_error() -> None:
    files = {str(path.relative_to(HOME)) for path in HOME.glob("*/*") if path.suffix in (".sbit", ".json")}
    assert files - set(CASES) == {f"shards/shards-0000{k}-of-00002.sbit" for k in (1, 2)}
    assert len(CASES) > 200


def test_the_command_writes_the_same_bytes(tmp_path: Path) -> None:
    command = [sys.executable, HOME / "make_bad.py", "--output", tmp_path]
    subprocess.run(command, check=True, capture_output=True, timeout=120)
    for path in (*HOME.glob("*/*"), HOME / ERRORS):
        if path.suffix in (".sbit", ".json"):
            assert path.read_bytes() == (tmp_path / path.relative_to(HOME)).read_bytes(), path


def test_frames_are_those_of_zstd() -> None:
    import zstandard

    assert zstandard.ZstdDecompressor().decompress(frame(b"content")) == b"content"
    assert zstandard.ZstdDecompressor().decompress(repeated(300_000)) == bytes(300_000)
    assert zstandard.frame_content_size(frame(b"content", None)) == -1
    assert zstandard.ZstdDecompressor().decompress(frame(b"content", None), max_output_size=7) == b"content"
