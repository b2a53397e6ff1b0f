"""`inspect` and `verify`: what they count, and what they must not import."""

from __future__ import annotations

import json
from pathlib import Path

from formats.bad.forge import forge
from tests.cli.process import subbit, weights


def test_bits_per_weight_is_the_promised_object(home: Path) -> None:
    counted = subbit("inspect", "bits-per-weight", "m.sbit", "--json", cwd=home).json()
    size, total = (home / "m.sbit").stat().st_size, sum(array.size for array in weights().values())
    assert counted["version"] == 1
    assert counted["file"] == {
        "path": "m.sbit", "bytes": size, "weights": total, "bits_per_weight": 8 * size / total,
    }  # fmt: skip
    assert set(counted) == {"version", "file", "coded", "tensors"}
    assert set(counted["coded"]) == {"bytes", "weights", "bits_per_weight"}
    keys = {"name", "shape", "codec", "weights", "bytes", "bits_per_weight"}
    assert [(t["name"], set(t)) for t in counted["tensors"]] == [(name, keys) for name in sorted(weights())]


def test_bits_per_weight_ends_with_both_totals(home: Path) -> None:
    counted = subbit("inspect", "bits-per-weight", "m.sbit", "--json", cwd=home).json()
    lines = subbit("inspect", "bits-per-weight", "m.sbit", cwd=home).ok().splitlines()
    for line, name in zip(lines[-2:], ("coded", "file"), strict=True):
        part = counted[name]
        assert line.split() == [f"{part['bits_per_weight']:.4f}", f"{part['weights']:,}", f"{part['bytes']:,}", name]


def test_tensors_and_header(home: Path, tmp_path: Path) -> None:
    tensors = {t["name"]: t for t in subbit("inspect", "tensors", "m.sbit", "--json", cwd=home).json()["tensors"]}
    assert (tensors["steps"]["shape"], tensors["steps"]["dtype"]) == ([], "int64")
    knobs = {"rotation": None, "state_bits": 12}  # the rate only mattered to the encoder
    assert tensors["layers.0.q.weight"]["knobs"] == knobs
    assert set(tensors["layers.0.q.weight"]["sections"]) == {"codes"}
    header = subbit("inspect", "header", "m.sbit", "--json", cwd=home).json()
    assert (header["format"], header["tensors"], header["metadata"]["note"]) == ("1.0", len(weights()), "a test")
    assert header["files"][0]["body_hash"] == (home / "m.sbit").read_bytes()[64:80].hex()
    assert [c["codec"] for c in header["codecs"]] == ["dense", "trellis", "uniform"]

    forge(tmp_path / "f.sbit")  # two codecs that nobody knows, an alias, an extra
    text = subbit("inspect", "tensors", "f.sbit", cwd=tmp_path).ok()
    assert "tied is tied to b" in text
    assert '{"bits":0.5,"seed":7}' in text
    assert "extra config.json" in subbit("inspect", "header", "f.sbit", cwd=tmp_path).ok()


def test_names_cannot_steer_the_terminal(tmp_path: Path) -> None:
    name = "w\x1b[2J\u202e"
    tensor = {"codec": 0, "dtype": "int8", "name": name, "sections": [["s", 1]], "shape": [1]}
    forge(tmp_path / "f.sbit", {"codecs": [{"id": "dense"}], "tensors": [tensor]}, [b"s"])
    out = subbit("inspect", "bits-per-weight", "f.sbit", cwd=tmp_path).ok()
    assert "w\\x1b[2J\\u202e" in out
    assert name not in out
    text = subbit("inspect", "tensors", "f.sbit", "--json", cwd=tmp_path).ok()
    assert text.isascii()
    assert json.loads(text)["tensors"][0]["name"] == name


def test_verify_says_what_it_checked(home: Path, tmp_path: Path) -> None:
    whole = subbit("verify", "m.sbit", cwd=home)
    size = (home / "m.sbit").stat().st_size
    sections = 2 + 1 + 1 + 1 + 1  # uniform, two of trellis, two of dense
    assert f"every byte of {sections} sections in 5 tensors and of 1 extras" in whole.ok()
    assert f"({size:,} bytes)" in whole.out
    data = bytearray((home / "m.sbit").read_bytes())
    data[400] ^= 1
    (tmp_path / "flipped.sbit").write_bytes(data)
    assert (
        subbit("verify", "flipped.sbit", cwd=tmp_path).error(1).startswith("flipped.sbit, tensor 'embed_tokens.weight'")
    )
    (tmp_path / "cut.sbit").write_bytes(data[:-1])
    assert "cut.sbit" in subbit("verify", "cut.sbit", "--json", cwd=tmp_path).error(1)


def test_verify_against_the_original_lists_the_worst_first(home: Path) -> None:
    result = subbit("verify", "m.sbit", "--against", "m.safetensors", "--json", cwd=home).json()
    assert (result["version"], result["path"], set(result["errors"])) == (1, "m.sbit", set(weights()))
    out = subbit("verify", "m.sbit", "--against", "m.safetensors", cwd=home).ok()
    worst = max(result["errors"], key=result["errors"].__getitem__)
    rows = [line.split() for line in out.splitlines() if line.endswith(".weight")]
    assert rows[0] == [f"{result['errors'][worst]:.5f}", worst]
    assert [float(error) for error, _ in rows] == sorted((float(error) for error, _ in rows), reverse=True)
    assert "3 tensors differ" in out
    assert "2 are equal" in out
