"""`compress` and `decompress`: what they write and what they say."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner
from safetensors.numpy import load_file

import subbit as library
from subbit.planning.curves import PROFILES as LIBRARY_PROFILES
from subbit.planning.curves import SIGNS as LIBRARY_SIGNS
from subbit_cli.compress import PROFILES, SIGNS
from subbit_cli.main import subbit as group
from tests.cli.process import save, subbit, weights


def test_output_goes_beside_the_checkpoint_within_the_budget(home: Path, tmp_path: Path) -> None:
    (tmp_path / "models").mkdir()
    shutil.copy(home / "m.safetensors", tmp_path / "models")
    done = subbit("compress", "models/m.safetensors", cwd=tmp_path)
    assert "wrote models/m.sbit" in done.ok()
    assert (tmp_path / "models/m.sbit").read_bytes() == (home / "m.sbit").read_bytes()
    assert done.err.startswith("warning: 2 of 2 coded tensors")  # ordinary signs at .8 bit break models
    assert done.err.count("\n") == 1
    with library.open(tmp_path / "models/m.sbit") as file:
        assert 0.6 < file.coded_bits_per_weight <= 0.8
        assert f"{file.coded_bits_per_weight:.4f}" in done.out


def test_options_reach_the_library(home: Path, tmp_path: Path) -> None:
    args = ["compress", home / "m.safetensors", "-o", "out.sbit", "--bits", "2.5", "--keep", "layers.1.*",
            "--cover", "embed*", "--embeddings", "4", "--signs", "stored", "--json"]  # fmt: skip
    done = subbit(*args, cwd=tmp_path)
    report = done.json()
    assert {t["name"]: (t["codec"], t["covered"]) for t in report["tensors"]} == {
        "embed_tokens.weight": ("signed", True), "layers.0.q.weight": ("signed", True),
        "layers.1.q.weight": ("dense", False), "norm.weight": ("dense", False), "steps": ("dense", False),
    }  # fmt: skip
    assert 1.5 < report["coded"]["bits_per_weight"] <= 2.5
    assert report["file"]["bytes"] == (tmp_path / "out.sbit").stat().st_size
    assert done.err == (f"warning: {report['warning']}\n" if report["warning"] else "")


def test_a_plan_is_printed_edited_and_taken_back(home: Path, tmp_path: Path) -> None:
    checkpoint = home / "m.safetensors"
    planned = subbit("compress", checkpoint, "--dry-run", "--json", cwd=tmp_path)
    plan = planned.json()
    assert (plan["version"], plan["budget"], planned.err) == (1, 0.8, "")
    assert list(tmp_path.iterdir()) == []

    (tmp_path / "plan.json").write_text(planned.out)
    subbit("compress", checkpoint, "-o", "same.sbit", "--plan", "plan.json", cwd=tmp_path).ok()
    assert (tmp_path / "same.sbit").read_bytes() == (home / "m.sbit").read_bytes()

    rule = next(rule for rule in plan["rules"] if rule["pattern"] == "layers.0.q.weight")
    rule["codec"] = {"codec": "dense"}
    edited = subbit("compress", checkpoint, "-o", "edited.sbit", "--plan", "-", cwd=tmp_path, stdin=json.dumps(plan))
    edited.ok()
    with library.open(tmp_path / "edited.sbit") as file:
        assert (file["layers.0.q.weight"].codec, file["layers.1.q.weight"].codec) == ("dense", "trellis")
        np.testing.assert_array_equal(file["layers.0.q.weight"].decode(), weights()["layers.0.q.weight"])


def test_dry_run_shows_every_tensor_and_the_sum(home: Path, tmp_path: Path) -> None:
    out = subbit("compress", home / "m.safetensors", "--dry-run", "--bits", "1.25", cwd=tmp_path).ok()
    assert all(name in out for name in weights())
    assert out.splitlines()[-1].split()[0] == "1.250"


def test_for_speed_rates_are_fixed_and_the_plan_says_why(home: Path, tmp_path: Path) -> None:
    args = ("compress", home / "m.safetensors", "--for", "speed", "--dry-run")
    assert "fixed rate" in subbit(*args, cwd=tmp_path).ok()
    rules = subbit(*args, "--json", cwd=tmp_path).json()["rules"]
    coded = [rule["codec"] for rule in rules if rule["covered"]]
    assert [(codec["codec"], codec["variable"]) for codec in coded] == [("trellis", False)] * 2
    assert "would lose" in subbit(*args[:2], "--dry-run", cwd=tmp_path).ok()


def test_shards_are_written_read_and_turned_back(home: Path, tmp_path: Path) -> None:
    done = subbit("compress", home / "m.safetensors", "-o", "s.sbit", "--shard-size", "4KB", cwd=tmp_path)
    assert "wrote s.sbit.index.json" in done.ok()
    assert len(list(tmp_path.glob("s-*.sbit"))) > 1
    counted = subbit("inspect", "bits-per-weight", "s.sbit", "--json", cwd=tmp_path).json()
    assert counted["file"]["bytes"] == sum(path.stat().st_size for path in tmp_path.iterdir())
    assert len(subbit("inspect", "header", "s.sbit", "--json", cwd=tmp_path).json()["files"]) > 1
    assert "wrote s.safetensors" in subbit("decompress", "s.sbit.index.json", cwd=tmp_path).ok()
    assert set(load_file(tmp_path / "s.safetensors")) == set(weights())


def test_decompress_equals_load(home: Path, tmp_path: Path) -> None:
    out = subbit("decompress", home / "m.sbit", "-o", "back.safetensors", "--dtype", "fp16", cwd=tmp_path).ok()
    assert out == f"wrote back.safetensors, {(tmp_path / 'back.safetensors').stat().st_size:,} bytes\n"
    back, loaded = load_file(tmp_path / "back.safetensors"), library.load(home / "m.sbit", dtype="float16")
    assert set(back) == set(loaded) == set(weights())
    for name, array in back.items():
        assert array.dtype == (np.int64 if name == "steps" else np.float16)
        np.testing.assert_array_equal(array, loaded[name])


def test_existing_output_needs_force(home: Path, tmp_path: Path) -> None:
    for command, source in (("compress", "m.safetensors"), ("decompress", "m.sbit")):
        (tmp_path / "out.sbit").write_bytes(b"mine")
        args = (command, home / source, "-o", "out.sbit")
        assert "exists already (use --force" in subbit(*args, cwd=tmp_path).error(2)
        assert (tmp_path / "out.sbit").read_bytes() == b"mine"
        assert "wrote out.sbit" in subbit(*args, "--force", cwd=tmp_path).ok()
        assert [path.name for path in tmp_path.iterdir()] == ["out.sbit"]


def test_template_signs_raise_no_warning(tmp_path: Path) -> None:
    matrix = np.abs(weights()["layers.0.q.weight"])
    matrix[:, ::2] *= -1  # rank one: two angles explain it
    save(tmp_path / "t.safetensors", {"w": matrix})
    done = subbit("compress", "t.safetensors", "--signs", "fitted", "--json", cwd=tmp_path)
    assert done.json()["tensors"][0]["codec"] == "signed"
    assert (done.err, done.json()["warning"]) == ("", None)


def test_choices_of_signs_and_profiles_are_those_of_the_library() -> None:
    assert SIGNS == LIBRARY_SIGNS
    assert PROFILES == LIBRARY_PROFILES


@pytest.mark.parametrize(
    "args",
    [
        ["--bits", "1"],
        ["--for", "speed"],
        ["--signs", "joint"],
        ["--keep", "*"],
        ["--cover", "*"],
        ["--embeddings", "4"],
        ["--dry-run"],
    ],
)
def test_options_that_contradict_a_plan_are_usage_errors(args: list[str]) -> None:
    done = CliRunner().invoke(group, ["compress", "m.safetensors", "--plan", "-", *args])
    assert done.exit_code == 2
    assert f"{args[0]} contradicts --plan" in done.output


def test_the_same_command_goes_on_where_a_stopped_run_was(home: Path, tmp_path: Path) -> None:
    stopped = ["compress", home / "m.safetensors", "-o", "m.sbit"]

    def stop(phase: str, done: int, total: int, name: str) -> None:
        if (phase, name) == ("compress", "layers.1.q.weight"):
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        library.compress(home / "m.safetensors", tmp_path / "m.sbit", resume=True, progress=stop)
    refused = subbit(*stopped, "--bits", "3", cwd=tmp_path).error()
    assert refused == "m.sbit.partial: is of another run, which differs in: options (remove it to start anew)"
    done = subbit(*stopped, cwd=tmp_path)
    done.ok()
    assert done.err.startswith("going on where a stopped run was: 2 of 5 tensors are done\n")
    assert [path.name for path in tmp_path.iterdir()] == ["m.sbit"]
    assert (tmp_path / "m.sbit").read_bytes() == (home / "m.sbit").read_bytes()


def test_an_interrupted_run_says_that_it_can_go_on(home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def stop(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("subbit.model.encoding.encode", stop)
    for option, kept in (("--resume", True), ("--no-resume", False)):
        folder = tmp_path / option
        folder.mkdir()
        command = ["compress", str(home / "m.safetensors"), "-o", str(folder / "m.sbit"), option]
        done = CliRunner().invoke(group, command)
        assert ("the same command goes on from there" in done.stderr) is kept
        assert [path.name for path in folder.iterdir()] == ["m.sbit.partial"] * kept
