"""`subbit compress` with a text, with statistics, and with both; the models are those of `test_calibrate`."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from safetensors.numpy import load_file, save_file

import subbit as library
from subbit.planning import Rule
from subbit.torch import calibrate_checkpoint, compress_calibrated
from tests.cli.process import subbit
from tests.tiny_llama import save_tiny_llama

SIZE = ("--tokens", "64", "--window", "16")
PLAN = library.Plan((Rule("*", library.DeadZone(2.5)),))


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    home = tmp_path_factory.mktemp("calibrated")
    save_tiny_llama(home)
    options: dict[str, Any] = {"tokens": 64, "window": 16, "fisher": False}
    calibrate_checkpoint(home / "model", home / "text.txt", **options).save(home / "stats")
    (home / "plan.json").write_text(PLAN.to_json())
    return home


def test_a_text_calibrates_and_heals(folder: Path, tmp_path: Path) -> None:
    options = ("--text", "self", "--heal", "0.01", "--plan", "plan.json", *SIZE)
    found = subbit("compress", "model", "-o", str(tmp_path / "m.sbit"), *options, "--json", cwd=folder).json()
    assert (found["calibration"]["text"], found["calibration"]["tokens"]) == ("self", "64")
    assert found["file"]["bytes"] == (tmp_path / "m.sbit").stat().st_size
    assert found["healing"]["after"]["loss"] <= found["healing"]["before"]["loss"]
    assert found["warning"] is None


def test_statistics_from_a_file(folder: Path, tmp_path: Path) -> None:
    def compressed(name: str, *options: str) -> bytes:
        subbit("compress", "model", "-o", str(tmp_path / name), "--plan", "plan.json", *options, cwd=folder).ok()
        return (tmp_path / name).read_bytes()

    model, stats = folder / "model", library.Statistics.load(folder / "stats")
    of_file = compressed("a.sbit", "--stats", "stats")
    assert of_file == library.compress(model, tmp_path / "b.sbit", plan=PLAN, importance=stats).path.read_bytes()
    assert of_file != library.compress(model, tmp_path / "c.sbit", plan=PLAN).path.read_bytes()
    driven = compressed("d.sbit", "--stats", "stats", "--text", "text.txt", *SIZE)
    same = compress_calibrated(
        model, tmp_path / "e.sbit", text=folder / "text.txt", statistics=stats, tokens=64, window=16, plan=PLAN
    )
    assert driven == same.path.read_bytes() != of_file


def test_a_plan_by_statistics(folder: Path) -> None:
    text = subbit("compress", "model", "--dry-run", "--json", "--stats", "stats", "--bits", "3", cwd=folder).ok()
    known = library.Statistics.load(folder / "stats")
    assert library.Plan.from_json(text) == library.plan(folder / "model", bits=3, importance=known)


def test_a_budget_for_the_whole_file(folder: Path, tmp_path: Path) -> None:
    out = str(tmp_path / "m.sbit")
    found = subbit("compress", "model", "-o", out, "--stats", "stats", "--file-bits", "6", "--json", cwd=folder).json()
    assert 5 < found["file"]["bits_per_weight"] <= 6
    assert {row["name"]: row["covered"] for row in found["tensors"]}["model.embed_tokens.weight"]
    said = subbit("compress", "model", "-o", out, "--force", "--file-bits", "1", cwd=folder).error(2)
    assert "the smallest that can is" in said


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (["--tokens", "64"], "--tokens needs --text"),
        (["--no-sequential"], "--sequential needs --text"),
        (["--heal", "1"], "--heal needs --text"),
        (["--bits", "1", "--file-bits", "1"], "--bits contradicts --file-bits"),
        (["--stats", "stats", "--text", "text.txt", "--no-fisher"], "--fisher contradicts --stats"),
        (["--stats", "stats", "--text", "text.txt", "--no-sequential"], "--text has no use"),
        (["--text", "text.txt", "--heal", "1", "--dry-run"], "--heal contradicts --dry-run"),
        (["--text", "text.txt", "--resume"], "--resume contradicts --text"),
        (["--file-bits", "1", "--plan", "stats"], "--file-bits contradicts --plan"),
        (["--file-bits", "1", "--shard-size", "1GB"], "shards"),
    ],
)
def test_contradictions(folder: Path, options: list[str], said: str) -> None:
    assert said in subbit("compress", "model", "-o", "none.sbit", *options, cwd=folder).error(2)
    assert not (folder / "none.sbit").exists()


def test_statistics_that_do_not_serve(folder: Path, tmp_path: Path) -> None:
    weights = load_file(folder / "model" / "model.safetensors")
    name = "model.layers.0.mlp.up_proj.weight"
    other = {**weights, name: weights[name] + np.float32(1)}
    wide = {**weights, name: np.zeros((40, 33), np.float32)}
    for file, tensors in (("other", other), ("wide", wide), ("fewer", {k: v for k, v in weights.items() if k != name})):
        save_file(tensors, tmp_path / f"{file}.safetensors")
    stats = str(folder / "stats")

    def refused(checkpoint: str, *options: str, code: int = 1) -> str:
        return subbit("compress", checkpoint, "-o", "m.sbit", *options, cwd=tmp_path).error(code)

    again = "(calibrate again: subbit calibrate)"
    found = refused("other.safetensors", "--stats", stats)
    assert found.startswith(f"{stats}: the statistics are of another model")
    assert found.endswith(again)
    assert f"tensor '{name}': has shape (40, 33) in wide.safetensors" in refused("wide.safetensors", "--stats", stats)
    assert f"'{name}': the statistics are of another model" in refused("fewer.safetensors", "--stats", stats)
    assert "holds no calibration statistics" in refused("other.safetensors", "--stats", "other.safetensors")
    assert "absent" in refused("other.safetensors", "--stats", "absent")
    for value, said in ((np.nan, "not finite"), (0.0, "no energy")):
        found = library.Statistics.load(stats)
        layers = dict(found.layers)
        rows = np.full_like(layers[name].rows(), value)
        layers[name] = type(layers[name])(layers[name].shape, name, layers[name].columns, lambda rows=rows: rows)
        library.Statistics(layers, found.provenance).save(tmp_path / "bad", force=True)
        text = refused(str(folder / "model"), "--stats", "bad")
        assert text.startswith(f"bad, tensor '{name}': ")
        assert said in text
        assert text.endswith(again)
    assert not (tmp_path / "m.sbit").exists()
