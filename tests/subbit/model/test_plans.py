"""Plans through files: declared templates, edited plans, non-finite weights, and what is refused."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from checks import same_bits

import subbit
from subbit.bits.packing import unpack_signs
from subbit.errors import SubbitError, UsageError
from subbit.signs import Angle, Hashed, SignPlane, declared, signs
from subbit_formats.safetensors_writer import SafetensorsWriter


def gaussian(*shape: int, seed: int = 0) -> np.ndarray:
    return (0.1 * np.random.default_rng(seed).standard_normal(shape)).astype(np.float32)


def templated(plane: SignPlane, rows: int, cols: int) -> np.ndarray:
    negative = unpack_signs(signs(plane, b"", rows, cols), cols).astype(bool)
    return np.where(negative, -1, 1).astype(np.float32) * np.abs(gaussian(rows, cols))


def checkpoint(folder: Path, arrays: dict[str, np.ndarray], planes: dict[str, SignPlane]) -> Path:
    metadata = {declared.METADATA_KEY: declared.to_json(planes), "other": "text"}
    described = {name: (array.dtype.name, array.shape) for name, array in arrays.items()}
    with SafetensorsWriter(folder / "m.safetensors", described, metadata) as writer:
        for name in writer.names:
            writer.write(arrays[name])
    return folder / "m.safetensors"


def test_declared_templates_are_used_where_they_hold(tmp_path: Path) -> None:
    arrays = {"true.weight": templated(Hashed(3), 512, 512), "lie.weight": templated(Hashed(4), 512, 512)}
    path = checkpoint(tmp_path, arrays, {"true.weight": Hashed(3), "lie.weight": Hashed(3)})
    report = subbit.compress(path, bits=0.6)
    with subbit.open(report.path) as file:
        assert file["true.weight"].codec == "signed"
        assert {"signs", "flips"}.isdisjoint(file["true.weight"].encoded.sections)
        assert file["lie.weight"].codec == "trellis"
        assert dict(file.metadata) == {"format": "pt", "other": "text"}  # the claim is spent
    rows = {row.name: row for row in report.tensors}
    assert rows["true.weight"].free_signs
    assert not rows["lie.weight"].free_signs
    assert np.array_equal(np.sign(subbit.load(report.path)["true.weight"]), np.sign(arrays["true.weight"]))
    assert report.warning is not None
    assert "lie.weight" in report.warning
    assert "true.weight" not in report.warning


def test_an_undeclared_angle_template_is_found(tmp_path: Path) -> None:
    report = subbit.compress({"a.weight": templated(Angle(5), 600, 500)}, tmp_path / "m.sbit", bits=0.6)
    assert report.tensors[0].codec == "signed"
    assert report.tensors[0].error < 0.19
    assert report.coded_bits_per_weight <= 0.6
    assert report.warning is None


@pytest.mark.parametrize("text", ["{", "[]", '{"a.weight": {"kind": "stored"}}', '{"a.weight": {"kind": "no"}}'])
def test_declarations_that_say_nothing(text: str, tmp_path: Path) -> None:
    weight = gaussian(64, 64)
    metadata = {declared.METADATA_KEY: text}
    with SafetensorsWriter(tmp_path / "m.safetensors", {"a.weight": ("float32", (64, 64))}, metadata) as writer:
        writer.write(weight)
    with pytest.raises(SubbitError) as caught:
        subbit.compress(tmp_path / "m.safetensors")
    assert (caught.value.kind, caught.value.path) == ("template", str(tmp_path / "m.safetensors"))
    assert [path.name for path in tmp_path.iterdir()] == ["m.safetensors"]


def test_a_plan_edited_in_python_and_as_json(tmp_path: Path) -> None:
    arrays = {f"layers.{k}.weight": gaussian(100, 120, seed=k) for k in range(3)} | {"norm": gaussian(9)}
    plan = subbit.plan(arrays, bits=1.0).using("layers.0.*", subbit.Uniform(4)).using("layers.2.weight", subbit.Dense())
    assert subbit.Plan.from_json(plan.to_json()) == plan
    report = subbit.compress(arrays, tmp_path / "m.sbit", plan=subbit.Plan.from_json(plan.to_json()))
    assert [row.codec for row in report.tensors] == ["uniform", "trellis", "dense", "dense"]
    same_bits(subbit.load(tmp_path / "m.sbit")["layers.2.weight"], arrays["layers.2.weight"])


def test_one_rule_for_all(tmp_path: Path) -> None:
    arrays = {"a.weight": gaussian(100, 120), "n": gaussian(9), "ids": np.arange(12).reshape(3, 4)}
    plan = subbit.Plan.from_json(
        '{"version": 1, "rules": [{"pattern": "*", "codec": {"codec": "deadzone", "rate": 3}}]}'
    )
    report = subbit.compress(arrays, tmp_path / "m.sbit", plan=plan)
    assert {row.name: row.codec for row in report.tensors} == {"a.weight": "deadzone", "n": "dense", "ids": "dense"}
    assert report.coded_weights == 12_000


def test_a_plan_without_a_rule_for_a_tensor(tmp_path: Path) -> None:
    plan = subbit.plan({"a.weight": gaussian(100, 120)}, bits=1.0)
    with pytest.raises(UsageError) as caught:
        subbit.compress({"a.weight": gaussian(100, 120), "b.weight": gaussian(9, 9)}, tmp_path / "m.sbit", plan=plan)
    assert (caught.value.kind, caught.value.tensor) == ("plan", "b.weight")
    assert not list(tmp_path.iterdir())


def test_keep_cover_and_embeddings(tmp_path: Path) -> None:
    arrays = {
        "embed_tokens.weight": gaussian(300, 64),
        "a.weight": gaussian(300, 300),
        "router.weight": gaussian(8, 64),
    }
    report = subbit.compress(
        arrays, tmp_path / "m.sbit", bits=1.5, keep=["*router*"], cover=["*embed_tokens*"], embeddings=4
    )
    assert {row.name: row.codec for row in report.tensors} == {
        "embed_tokens.weight": "trellis", "a.weight": "trellis", "router.weight": "dense",
    }  # fmt: skip
    report = subbit.compress(arrays, tmp_path / "n.sbit", bits=1.5, embeddings=16)
    assert report.tensors[1].codec == "dense"


@pytest.mark.parametrize("bad", [np.nan, np.inf])
def test_weights_that_are_no_numbers(bad: float, tmp_path: Path) -> None:
    arrays = {"a.weight": gaussian(100, 120), "b.weight": gaussian(100, 120)}
    arrays["b.weight"][3, 4] = bad
    arrays["b.weight"].view(np.uint32)[5, 6] = 0x7FC12345
    path = checkpoint(tmp_path, arrays, {})
    plan = subbit.Plan.from_json('{"version": 1, "rules": [{"pattern": "*", "codec": {"codec": "uniform"}}]}')
    for chosen in (None, plan):
        with pytest.raises(SubbitError) as caught:
            subbit.compress(path, bits=2, plan=chosen)
        assert (caught.value.kind, caught.value.tensor) == ("nonfinite", "b.weight")
        assert caught.value.path == str(path)
        assert "allow" in str(caught.value)
        assert [file.name for file in tmp_path.iterdir()] == ["m.safetensors"]
    for chosen in (None, plan):
        report = subbit.compress(path, bits=2, plan=chosen, allow_nonfinite=True, force=True)
        same_bits(subbit.load(report.path)["b.weight"], arrays["b.weight"])
        assert report.coded_weights == 12_000


def test_importance(tmp_path: Path) -> None:
    weight = gaussian(256, 256)
    importance = np.where(np.arange(256) < 64, 50.0, 1.0)[:, None]
    subbit.compress({"a.weight": weight}, tmp_path / "m.sbit", bits=1, importance={"a.weight": importance})
    decoded = subbit.load(tmp_path / "m.sbit")["a.weight"]
    error = ((weight - decoded) ** 2).mean(axis=1)
    assert error[:64].mean() < 0.3 * error[64:].mean()
    for bad in (np.ones((3, 3)), -importance, importance * np.nan):
        with pytest.raises(SubbitError) as caught:
            subbit.compress({"a.weight": weight}, tmp_path / "n.sbit", bits=1, importance={"a.weight": bad})
        assert (caught.value.kind, caught.value.tensor) == ("importance", "a.weight")
    assert [path.name for path in tmp_path.iterdir()] == ["m.sbit"]
