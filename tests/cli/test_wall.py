"""`inspect wall`: a line a tensor and one for the model, JSON, the drift, the plot."""

from __future__ import annotations

from pathlib import Path

from tests.cli.process import save, subbit, weights


def test_the_report_ends_with_the_verdict(home: Path) -> None:
    lines = subbit("inspect", "wall", "m.safetensors", cwd=home).ok().splitlines()
    assert lines[0].split()[:2] == ["entropy", "KS"]
    assert [line.split()[-1] for line in lines[1:3]] == ["layers.0.q.weight", "layers.1.q.weight"]
    assert all("nothing predicts them" in line for line in lines[1:3])
    assert lines[-1].startswith(f"{2 * 96 * 128:,} signs cost 1.000 bits each, 3,072 bytes: they look random")


def test_json_with_drift(home: Path, tmp_path: Path) -> None:
    moved = weights()
    moved["layers.0.q.weight"][:24] *= -1
    save(tmp_path / "m.safetensors", moved)
    report = subbit("inspect", "wall", "m.safetensors", "--init", home / "m.safetensors", "--json", cwd=tmp_path).json()
    assert set(report) == {"version", "path", "init", "model", "tensors"}
    assert (report["version"], report["path"], report["init"]) == (1, "m.safetensors", str(home / "m.safetensors"))
    first, second = report["tensors"]
    assert set(first) == {
        "name", "shape", "weights", "sampled", "entropy", "predicted_by", "rate_distortion", "ranks", "ks", "template",
        "drift", "bits", "verdict",
    }  # fmt: skip
    assert (first["drift"]["flips"], first["bits"]) == (0.25, first["drift"]["bits"])
    assert (second["drift"], second["bits"]) == ({"flips": 0.0, "bits": 0.0}, 0.0)
    assert report["model"]["flips"] == 0.125
    text = subbit("inspect", "wall", "m.safetensors", "--init", home / "m.safetensors", cwd=tmp_path).ok()
    assert "25.0% flips against the initialization" in text
    assert "close to signs that a seed repeats" in text


def test_failures_are_one_line(home: Path, tmp_path: Path) -> None:
    assert "m.sbit" in subbit("inspect", "wall", "m.sbit", cwd=home).error(1)
    assert "no such file" in subbit("inspect", "wall", "none.safetensors", cwd=home).error(1)
    save(tmp_path / "other.safetensors", {"w": weights()["layers.0.q.weight"]})
    message = subbit("inspect", "wall", "m.safetensors", "--init", tmp_path / "other.safetensors", cwd=home).error(1)
    assert "layers.0.q.weight" in message


def test_the_plot(home: Path, tmp_path: Path) -> None:
    done = subbit("inspect", "wall", "m.safetensors", "--plot", tmp_path / "wall.png", cwd=home)
    try:
        import matplotlib  # noqa: F401
    except ModuleNotFoundError:
        assert 'pip install "subbit[plot]"' in done.error(2)
    else:
        done.ok()
        assert (tmp_path / "wall.png").read_bytes().startswith(b"\x89PNG")
