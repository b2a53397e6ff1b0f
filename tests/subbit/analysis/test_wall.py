from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from safetensors.numpy import save_file

from subbit.analysis.wall import SAMPLE, measure_matrix, measure_wall, sample
from subbit.bits.entropy import binary_entropy
from subbit.bits.packing import unpack_signs
from subbit.errors import SubbitError
from subbit.signs import Angle, Hashed, SignPlane, declared, signs

RANDOM = np.random.default_rng(0)


def matrix(rows: int = 96, cols: int = 80, plane: SignPlane | None = None) -> np.ndarray:
    values = RANDOM.standard_normal((rows, cols)).astype(np.float32)
    if plane is not None:
        values = np.where(unpack_signs(signs(plane, b"", rows, cols), cols), -np.abs(values), np.abs(values))
    return values


def flipped(values: np.ndarray, count: int) -> np.ndarray:
    out = values.copy()
    out.reshape(-1)[RANDOM.choice(out.size, count, replace=False)] *= -1
    return out


def test_every_covered_matrix_is_measured_and_judged(tmp_path: Path) -> None:
    tensors = {
        "a.weight": matrix(), "b.weight": matrix(plane=Angle(1)), "conv.weight": matrix(16, 72).reshape(16, 8, 3, 3),
        "embed_tokens.weight": matrix(), "norm.weight": np.ones(8, np.float32), "ids": np.zeros((4, 4), np.int64),
    }  # fmt: skip
    save_file(tensors, tmp_path / "m.safetensors")
    calls: list[tuple[str, int, int, str]] = []
    report = measure_wall(tmp_path / "m.safetensors", progress=lambda *call: calls.append(call))
    assert json.loads(json.dumps(report, allow_nan=False)) == report
    found = {tensor["name"]: tensor for tensor in report["tensors"]}
    assert list(found) == ["a.weight", "b.weight", "conv.weight"]
    assert [call[1:] for call in calls] == [(k, 3, name) for k, name in enumerate(found)]
    assert (found["a.weight"]["bits"], found["a.weight"]["verdict"]) == (1.0, "nothing predicts them")
    assert found["b.weight"]["bits"] == found["b.weight"]["entropy"] < 0.5
    assert found["b.weight"]["ks"]["p"] < 1e-6 < 0.5 < found["a.weight"]["ks"]["p"]
    assert found["a.weight"]["sampled"] is found["a.weight"]["drift"] is found["a.weight"]["template"] is None
    weights = {name: tensors[name].size for name in found}
    mean = sum(weights[name] * found[name]["bits"] for name in found) / sum(weights.values())
    assert report["model"]["bits"] == pytest.approx(mean)
    assert report["model"]["weights"] == sum(weights.values())
    assert f"{sum(weights.values()):,} signs cost {mean:.3f} bits" in report["model"]["verdict"]


def test_drift_is_the_exact_flip_rate_and_its_cost(tmp_path: Path) -> None:
    before = {"a.weight": matrix(100, 80), "b.weight": matrix(100, 80)}
    save_file(before, tmp_path / "init.safetensors")
    after = {"a.weight": flipped(before["a.weight"], 800), "b.weight": flipped(before["b.weight"], 1600)}
    save_file({**after, "new.weight": matrix()}, tmp_path / "m.safetensors")
    report = measure_wall(tmp_path / "m.safetensors", tmp_path / "init.safetensors")
    a, b, new = report["tensors"]
    assert a["drift"] == {"flips": pytest.approx(0.1), "bits": pytest.approx(binary_entropy(0.1))}
    assert (a["bits"], new["drift"], new["bits"]) == (a["drift"]["bits"], None, 1.0)
    assert b["verdict"] == "20.0% flips against the initialization"
    assert report["model"]["flips"] == pytest.approx(0.15)


def test_a_declared_template_is_compared_and_not_believed(tmp_path: Path) -> None:
    planes = {"a.weight": Hashed(1), "b.weight": Hashed(2)}
    tensors = {"a.weight": flipped(matrix(100, 80, planes["a.weight"]), 80), "b.weight": matrix(100, 80)}
    save_file(tensors, tmp_path / "m.safetensors", metadata={declared.METADATA_KEY: declared.to_json(planes)})
    a, b = measure_wall(tmp_path / "m.safetensors")["tensors"]
    assert a["template"] == {"kind": "hashed", "flips": pytest.approx(0.01), "bits": a["bits"]}
    assert a["verdict"] == "1.00% flips against the hashed template"
    assert b["template"]["flips"] == pytest.approx(0.5, abs=0.03)
    assert b["bits"] > 0.99


def test_large_matrices_are_sampled_in_one_block() -> None:
    for shape in ((1500, 1200), (10, SAMPLE), (SAMPLE // 8, 16), (3, 5)):
        full = np.arange(shape[0] * shape[1], dtype=np.float32).reshape(shape)
        block = sample(full)
        assert block.size <= SAMPLE
        assert block.size == full.size or block.size > 0.99 * SAMPLE
        assert block[0, -1] - block[0, 0] == block.shape[1] - 1
    assert sample(np.zeros((4096, 4096))).shape == (1024, 1024)


def test_the_curves_start_at_the_entropy_and_at_all_energy() -> None:
    found = measure_matrix(matrix(128, 128, Angle(2)))
    assert found["rate_distortion"][0] == [0.0, found["entropy"], 1.0]
    assert found["rate_distortion"][-1] == [0.5, 0.0, 0.0]
    errors = [point["signs"] for point in found["ranks"]]
    assert errors == sorted(errors, reverse=True)
    assert errors[0] < 0.2 < 0.9 < found["ranks"][0]["random"]


def test_what_cannot_be_measured_is_refused(tmp_path: Path) -> None:
    def refused(tensors: dict[str, np.ndarray], init: dict[str, np.ndarray] | None = None) -> SubbitError:
        save_file(tensors, tmp_path / "m.safetensors")
        if init is not None:
            save_file(init, tmp_path / "init.safetensors")
        with pytest.raises(SubbitError) as caught:
            measure_wall(tmp_path / "m.safetensors", None if init is None else tmp_path / "init.safetensors")
        assert caught.value.path is not None
        return caught.value

    broken = matrix()
    broken[3, 3] = np.nan
    error = refused({"w": broken})
    assert (error.kind, error.tensor) == ("nonfinite", "w")
    assert refused({"norm": np.ones(4, np.float32)}).kind == "empty"
    assert refused({"w": matrix()}, {"v": matrix()}).kind == "init"
    error = refused({"w": matrix(), "x": matrix()}, {"w": matrix(8, 8)})
    assert (error.kind, error.tensor) == ("init", "w")
