from __future__ import annotations

from pathlib import Path

from tests.cli.process import subbit


def test_a_row_a_codec_and_shape_with_ratios(home: Path) -> None:
    found = subbit("bench", "m.sbit", "--turns", "1", "--json", cwd=home).json()
    assert (found["version"], found["path"], found["turns"]) == (1, "m.sbit", 1)
    assert found["kinds"]
    for row in found["kinds"]:
        assert set(row["decode"]) == {"float32", "float16", "bfloat16"}
        assert set(row["multiply"]) in ({"1", "8", "32"}, set())
        assert row["load"] > 0
        assert all(ratio > 0 for part in ("decode", "multiply") for ratio in row[part].values())
    assert any(row["multiply"] for row in found["kinds"])
    shapes = [(row["codec"], *row["shape"]) for row in found["kinds"]]
    assert len(set(shapes)) == len(shapes)


def test_people_get_a_table(home: Path) -> None:
    lines = subbit("bench", "m.sbit", "--turns", "1", "--most", "1", cwd=home).ok().splitlines()
    assert lines[0].split()[:7] == ["f32", "f16", "bf16", "load", "x1", "x8", "x32"]
    assert len([line for line in lines if "×" in line]) == 1
    assert "m.sbit" in lines[-1]


def test_beside_float32(home: Path) -> None:
    assert "float32" in subbit("bench", "m.sbit", "--turns", "1", "--most", "1", "--dtype", "float32", cwd=home).ok()


def test_a_file_that_is_none(home: Path) -> None:
    assert "m.safetensors" in subbit("bench", "m.safetensors", cwd=home).error(1)
