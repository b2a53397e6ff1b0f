from __future__ import annotations

import json
from pathlib import Path

import ml_dtypes
import numpy as np
import pytest
from safetensors.numpy import load_file, save_file

import subbit
from subbit.model.statistics import LayerMoments, Statistics, content_hash
from subbit_formats.sources import open_source

RANDOM = np.random.default_rng(0)
WEIGHTS = {
    name: RANDOM.standard_normal(shape).astype(np.float32)
    for name, shape in {
        "a.q": (6, 8),
        "a.k": (3, 8),
        "b.conv": (4, 2, 2, 1),
        "c.experts": (2, 4, 8),
        "d.wide": (3, 9),
    }.items()
}


def second(groups: int, width: int) -> np.ndarray:
    x = RANDOM.standard_normal((groups, 20, width)).astype(np.float32)
    return x.swapaxes(1, 2) @ x


def layer(name: str, inputs: str, columns: np.ndarray, rows: np.ndarray) -> LayerMoments:
    return LayerMoments(WEIGHTS[name].shape, inputs, lambda: columns, lambda: rows)


def statistics(**other: np.ndarray) -> Statistics:
    shared = other.get("shared", second(1, 8))
    rows = {
        name: RANDOM.uniform(0.5, 2, (groups, outs)).astype(np.float32)
        for name, groups, outs in [
            ("a.q", 1, 6),
            ("a.k", 1, 3),
            ("b.conv", 1, 4),
            ("c.experts", 2, 4),
            ("d.wide", 1, 3),
        ]
    }
    rows |= {name: array for name, array in other.items() if name in rows}
    layers = {
        "a.q": layer("a.q", "a.q", shared, rows["a.q"]), "a.k": layer("a.k", "a.q", shared, rows["a.k"]),
        "b.conv": layer("b.conv", "b.conv", second(1, 4), rows["b.conv"]),
        "c.experts": layer("c.experts", "c.experts", second(2, 8), rows["c.experts"]),
        "d.wide": layer("d.wide", "d.wide", RANDOM.uniform(1, 2, (1, 9)).astype(np.float32), rows["d.wide"]),
    }  # fmt: skip
    return Statistics(layers, {"model": content_hash(sorted(WEIGHTS.items())), "tokens": "7"})


@pytest.fixture
def checkpoint(tmp_path: Path) -> Path:
    save_file(WEIGHTS | {"norm": np.ones(4, np.float32)}, tmp_path / "m.safetensors")
    return tmp_path / "m.safetensors"


def test_a_file_gives_back_the_same_numbers(tmp_path: Path, checkpoint: Path) -> None:
    made = statistics()
    made.save(tmp_path / "s.safetensors")
    found = Statistics.load(tmp_path / "s.safetensors")
    assert (list(found), found.provenance) == (sorted(WEIGHTS), made.provenance)
    for name in made:
        assert np.array_equal(found[name].columns, made[name].columns), name
        assert np.array_equal(found[name].rows, made[name].rows), name
    found.check(open_source(checkpoint))
    with pytest.raises(subbit.UsageError, match="exists"):
        made.save(tmp_path / "s.safetensors")
    found.save(tmp_path / "again.safetensors")
    assert (tmp_path / "again.safetensors").read_bytes() == (tmp_path / "s.safetensors").read_bytes()


def test_shared_inputs_and_triangles_are_stored_once(tmp_path: Path) -> None:
    statistics().save(tmp_path / "s.safetensors")
    stored = load_file(tmp_path / "s.safetensors")
    assert {name: array.shape for name, array in stored.items() if name.endswith("columns")} == {
        "a.q.columns": (1, 36), "b.conv.columns": (1, 10), "c.experts.columns": (2, 36), "d.wide.columns": (1, 9),
    }  # fmt: skip


def test_the_hash_is_of_values_and_not_of_types() -> None:
    weights = {"w": RANDOM.standard_normal((5, 7)).astype(ml_dtypes.bfloat16)}
    same = content_hash((name, array.astype(np.float32)) for name, array in weights.items())
    assert content_hash(weights.items()) == same
    assert content_hash([("v", weights["w"])]) != same
    assert content_hash([("w", weights["w"].reshape(7, 5))]) != same
    weights["w"][0, 0] *= 2
    assert content_hash(weights.items()) != same


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"a.k": None}, "no such tensor"),
        ({"a.k": np.ones((3, 9), np.float32)}, "shape"),
        ({"a.k": WEIGHTS["a.k"] * 2}, "differ"),
    ],
)
def test_statistics_of_another_model(tmp_path: Path, change: dict[str, np.ndarray | None], words: str) -> None:
    save_file({k: v for k, v in (WEIGHTS | change).items() if v is not None}, tmp_path / "other.safetensors")
    statistics().save(tmp_path / "s.safetensors")
    with pytest.raises(subbit.SubbitError, match=words) as caught:
        Statistics.load(tmp_path / "s.safetensors").check(open_source(tmp_path / "other.safetensors"))
    assert caught.value.kind == "statistics"
    assert caught.value.path == str(tmp_path / "s.safetensors")
    assert caught.value.tensor == (None if words == "differ" else "a.k")
    assert "subbit calibrate" in str(caught.value)


@pytest.mark.parametrize(
    ("bad", "words"),
    [
        ({"a.k": np.full((1, 3), np.nan, np.float32)}, "not finite"),
        ({"a.k": -np.ones((1, 3), np.float32)}, "negative"),
        ({"a.k": np.zeros((1, 3), np.float32)}, "no energy"),
        ({"shared": np.zeros((1, 8, 8), np.float32)}, "no energy"),
        ({"shared": np.full((1, 8, 8), np.inf, np.float32)}, "not finite"),
    ],
)
def test_statistics_that_cannot_be_used(
    tmp_path: Path, checkpoint: Path, bad: dict[str, np.ndarray], words: str
) -> None:
    statistics(**bad).save(tmp_path / "s.safetensors")
    found = Statistics.load(tmp_path / "s.safetensors")
    for use in (lambda: found["a.k"], lambda: found.check(open_source(checkpoint))):
        with pytest.raises(subbit.SubbitError, match=words) as caught:
            use()
        assert (caught.value.kind, caught.value.tensor) == ("statistics", "a.k")
        assert caught.value.path == str(tmp_path / "s.safetensors")


def damaged(head: dict[str, object]) -> dict[str, str]:
    return {"subbit.statistics": json.dumps(head)}


@pytest.mark.parametrize(
    "metadata",
    [
        None,
        {"subbit.statistics": "{"},
        {"subbit.statistics": "[]"},
        damaged({"version": 2, "provenance": {}, "tensors": {}}),
        damaged({"version": 1, "provenance": {}, "tensors": {"w": {}}}),
        damaged(
            {"version": 1, "provenance": {}, "tensors": {"w": {"shape": [2, 3], "inputs": "v", "transposed": False}}}
        ),
        damaged(
            {"version": 1, "provenance": {}, "tensors": {"w": {"shape": [2, 4], "inputs": "w", "transposed": False}}}
        ),
        damaged(
            {"version": 1, "provenance": {}, "tensors": {"w": {"shape": [0, 3], "inputs": "w", "transposed": False}}}
        ),
        damaged({"version": 1, "provenance": [], "tensors": {}}),
    ],
)
def test_files_that_hold_no_statistics(tmp_path: Path, metadata: dict[str, str] | None) -> None:
    arrays = {"w.columns": np.ones((1, 6), np.float32), "w.rows": np.ones((1, 2), np.float32)}
    save_file(arrays, tmp_path / "s.safetensors", metadata=metadata)
    with pytest.raises(subbit.SubbitError, match="statistics") as caught:
        Statistics.load(tmp_path / "s.safetensors")
    assert (caught.value.kind, caught.value.path) == ("statistics", str(tmp_path / "s.safetensors"))


def test_a_good_file_of_that_kind(tmp_path: Path) -> None:
    arrays = {"w.columns": np.ones((1, 6), np.float32), "w.rows": np.ones((1, 2), np.float32)}
    head = {"version": 1, "provenance": {}, "tensors": {"w": {"shape": [2, 3], "inputs": "w", "transposed": False}}}
    save_file(arrays, tmp_path / "s.safetensors", metadata=damaged(head))
    assert np.array_equal(Statistics.load(tmp_path / "s.safetensors")["w"].columns, np.ones((3, 3)))
