"""Whatever is refused: one line on stderr, the right exit code, and no file left behind."""

from __future__ import annotations

import json
import os
import resource
import shutil
import struct
from pathlib import Path

import numpy as np
import pytest

from formats.bad.forge import xxh
from tests.cli.process import save, subbit, weights


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def refused(*args: str | Path, cwd: Path, code: int = 1, **options: object) -> str:
    before = names(cwd)
    line = subbit(*args, cwd=cwd, **options).error(code)  # type: ignore[arg-type]
    assert names(cwd) == before
    return line


@pytest.fixture
def shards(tmp_path: Path) -> Path:
    """A checkpoint in two shards."""
    halves = list(weights().items())
    files = {"a.safetensors": dict(halves[:2]), "b.safetensors": dict(halves[2:])}
    for name, tensors in files.items():
        save(tmp_path / name, tensors)
    placed = {tensor: name for name, tensors in files.items() for tensor in tensors}
    (tmp_path / "m.safetensors.index.json").write_text(json.dumps({"metadata": {}, "weight_map": placed}))
    return tmp_path


def test_no_checkpoint(tmp_path: Path) -> None:
    (tmp_path / "notes.txt").write_text("nothing to see here")
    assert "notes.txt: is no checkpoint (expected .safetensors" in refused("compress", "notes.txt", cwd=tmp_path)
    assert "no such file" in refused("compress", "missing", cwd=tmp_path)
    assert "notes.txt" in refused("inspect", "header", "notes.txt", cwd=tmp_path)


def test_damaged_shards(shards: Path) -> None:
    index, shard = shards / "m.safetensors.index.json", shards / "b.safetensors"
    whole = shard.read_bytes()
    shard.write_bytes(whole[:-5])
    line = refused("compress", index.name, cwd=shards)
    assert "b.safetensors" in line
    assert "bytes" in line
    shard.unlink()
    assert "b.safetensors: this shard is missing" in refused("compress", index.name, cwd=shards)
    index.write_text(index.read_text().replace("b.safetensors", "../b.safetensors"))
    assert "points outside its folder" in refused("compress", index.name, cwd=shards)


def test_nonfinite_weights(tmp_path: Path) -> None:
    tensors = weights()
    tensors["layers.1.q.weight"][3, 4] = np.nan
    tensors["layers.0.q.weight"][5, 6] = 1.0
    save(tmp_path / "m.safetensors", tensors)
    line = refused("compress", "m.safetensors", cwd=tmp_path)
    assert "tensor 'layers.1.q.weight': has NaN or infinite weights (--allow-nonfinite" in line
    done = subbit("compress", "m.safetensors", "--allow-nonfinite", "--json", cwd=tmp_path).json()
    row = next(t for t in done["tensors"] if t["name"] == "layers.1.q.weight")
    assert (row["codec"], row["error"]) == ("dense", 0.0)
    assert "is whole" in subbit("verify", "m.sbit", "--against", "m.safetensors", cwd=tmp_path).ok()


def test_a_budget_that_cannot_be_met_names_the_smallest_that_can(home: Path, tmp_path: Path) -> None:
    save(tmp_path / "m.safetensors")
    line = refused("compress", "m.safetensors", "--bits", "0.001", cwd=tmp_path, code=2)
    smallest = line.split("the smallest that can is ")[1].split(";")[0]
    done = subbit("compress", "m.safetensors", "--bits", smallest, "--json", cwd=tmp_path).json()
    assert done["coded"]["bits_per_weight"] <= float(smallest)
    assert "a budget of nan" in refused(
        "compress", "m.safetensors", "-o", "n.sbit", "--bits", "nan", cwd=tmp_path, code=2
    )


def test_missing_folder(home: Path, tmp_path: Path) -> None:
    line = refused("compress", home / "m.safetensors", "-o", "no/such/m.sbit", cwd=tmp_path)
    assert line.startswith("no/such/m.sbit: cannot be written: No such file")


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write everywhere")
def test_unwritable_folder(home: Path, tmp_path: Path) -> None:
    tmp_path.chmod(0o500)
    try:
        assert "cannot be written: Permission" in refused("decompress", home / "m.sbit", "-o", "m", cwd=tmp_path)
    finally:
        tmp_path.chmod(0o700)


def test_full_disk(home: Path, tmp_path: Path) -> None:
    def limit() -> None:  # a file that may not grow meets the same refusal as one on a full disk
        resource.setrlimit(resource.RLIMIT_FSIZE, (2000, 2000))

    for command, source in (("compress --no-resume", "m.safetensors"), ("decompress", "m.sbit")):
        line = refused(*command.split(), home / source, "-o", "m.out", cwd=tmp_path, limit=limit)
        assert "m.out: no space left" in line
    line = subbit("compress", home / "m.safetensors", "-o", "m.out", cwd=tmp_path, limit=limit).error()
    assert "no space left (free some space; then the same call goes on where it was)" in line
    assert names(tmp_path) == ["m.out.partial"]


def test_newer_major_version(home: Path, tmp_path: Path) -> None:
    data = bytearray((home / "m.sbit").read_bytes())
    struct.pack_into("<H", data, 8, 2)
    data[112:128] = xxh(bytes(data[:112]))
    (tmp_path / "new.sbit").write_bytes(data)
    lines = {refused(*args, "new.sbit", cwd=tmp_path) for args in (["verify"], ["inspect", "tensors"], ["decompress"])}
    assert len(lines) == 1
    assert "newer" in lines.pop()


def test_unknown_codec(home: Path, tmp_path: Path) -> None:
    from subbit_formats.sbit import Writer

    with Writer(tmp_path / "f.sbit") as writer:
        writer.add("w", shape=(2, 2), dtype="float32", codec="quantum", knobs={}, sections={"s": b"1"})
    assert "quantum" in subbit("inspect", "tensors", "f.sbit", cwd=tmp_path).ok()
    line = refused("decompress", "f.sbit", cwd=tmp_path)
    assert "f.sbit, tensor 'w': codec 'quantum' is not known to this version (update subbit" in line


@pytest.mark.parametrize(
    ("text", "words"),
    [("{", "not JSON"), ("\udc80", "not JSON"), ('{"version": 1, "rules": [{"pattern": "*"}]}', "rule 0 ('*')")],
)
def test_broken_plans(home: Path, tmp_path: Path, text: str, words: str) -> None:
    shutil.copy(home / "m.safetensors", tmp_path)
    (tmp_path / "plan.json").write_text(text, errors="surrogateescape")
    assert words in refused("compress", "m.safetensors", "--plan", "plan.json", cwd=tmp_path, code=2)
