"""A fine-tune as its parent and what differs: what it costs, what it decodes to, what is refused."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from checks import environment, relative_error, same_bits
from safetensors.numpy import load_file, save_file

import subbit
from subbit.errors import SubbitError

Arrays = dict[str, np.ndarray]


def parent() -> Arrays:
    random = np.random.default_rng(0)
    shapes = {"embed_tokens.weight": (300, 64), "a.weight": (128, 96), "b.weight": (96, 128), "norm.weight": (128,)}
    arrays = {name: (0.02 * random.standard_normal(shape)).astype(np.float32) for name, shape in shapes.items()}
    return arrays | {"steps": np.array(7)}


def tuned() -> Arrays:
    """The parent with all of `embed_tokens` and `a` a little off, and a new head."""
    random = np.random.default_rng(1)
    arrays = parent()
    for name in ("embed_tokens.weight", "a.weight"):
        arrays[name] += (0.001 * random.standard_normal(arrays[name].shape)).astype(np.float32)
    return arrays | {"classes.weight": random.standard_normal((10, 64)).astype(np.float32)}


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with `parent.safetensors`, `tuned.safetensors` and the `tuned.sbit` made of both."""
    folder = tmp_path_factory.mktemp("base")
    save_file(parent(), folder / "parent.safetensors")
    save_file(tuned(), folder / "tuned.safetensors", metadata={"note": "mine", "subbit.base": "stale"})
    subbit.compress(folder / "tuned.safetensors", bits=1.0, base=folder / "parent.safetensors")
    return folder


def test_each_tensor_is_told_in_the_cheapest_way(home: Path) -> None:
    with subbit.open(home / "tuned.sbit", base=home / "parent.safetensors") as file:
        assert {name: tensor.codec for name, tensor in file.items()} == {
            "a.weight": "delta", "b.weight": "same", "classes.weight": "deadzone", "embed_tokens.weight": "delta",
            "norm.weight": "same", "steps": "same",
        }  # fmt: skip
        assert file.coded_bits_per_weight <= 1.0
        assert file["b.weight"].bits_per_weight < 0.15  # a line of the index
        assert file["embed_tokens.weight"].bits_per_weight < 5
        assert file.metadata == {"note": "mine", "subbit.base": "parent.safetensors"}


def test_the_whole_comes_back_near_the_fine_tune(home: Path) -> None:
    loaded, exact = subbit.load(home / "tuned.sbit", base=home / "parent.safetensors"), tuned()
    assert loaded.keys() == exact.keys()
    for name in ("b.weight", "norm.weight", "steps"):
        same_bits(loaded[name], exact[name])
    untuned = relative_error(exact["a.weight"], parent()["a.weight"])
    assert relative_error(exact["a.weight"], loaded["a.weight"]) < 0.3 * untuned
    as_before = subbit.encode(exact["embed_tokens.weight"], subbit.Uniform())
    limit = relative_error(exact["embed_tokens.weight"], subbit.decode(as_before))
    assert relative_error(exact["embed_tokens.weight"], loaded["embed_tokens.weight"]) < 1.1 * limit
    path = subbit.decompress(home / "tuned.sbit", home / "again.safetensors", base=home / "parent.safetensors")
    for name, array in load_file(path).items():
        same_bits(array, loaded[name])


def test_any_form_of_the_parent_serves(home: Path, tmp_path: Path) -> None:
    subbit.compress(parent(), tmp_path / "parent.sbit", keep=["*"])
    subbit.compress(parent(), tmp_path / "shards.sbit", keep=["*"], shard_bytes=40_000)
    (tmp_path / "folder").mkdir()
    save_file(parent(), tmp_path / "folder" / "model.safetensors")
    expected = subbit.load(home / "tuned.sbit", base=home / "parent.safetensors")
    forms: list[Any] = [parent(), tmp_path / "parent.sbit", tmp_path / "shards.sbit.index.json", tmp_path / "folder"]
    for form in forms:
        loaded = subbit.load(home / "tuned.sbit", base=form)
        assert all(loaded[name].tobytes() == array.tobytes() for name, array in expected.items())
        subbit.verify(home / "tuned.sbit", base=form)


@pytest.mark.parametrize("threads", ["1", "2"])
@pytest.mark.parametrize("kernels", ["plain", "compiled"])
def test_the_same_bytes_on_any_kernels_and_threads(home: Path, tmp_path: Path, kernels: str, threads: str) -> None:
    with environment(SUBBIT_KERNELS=kernels, SUBBIT_THREADS=threads):
        subbit.compress(home / "tuned.safetensors", tmp_path / "out.sbit", bits=1.0, base=home / "parent.safetensors")
    assert (tmp_path / "out.sbit").read_bytes() == (home / "tuned.sbit").read_bytes()


def test_signs_of_the_parent_can_be_forced(tmp_path: Path) -> None:
    model = {name: array for name, array in tuned().items() if name != "classes.weight"}
    report = subbit.compress(model, tmp_path / "m.sbit", bits=1.2, signs="base", base=parent())
    assert {t.name: t.codec for t in report.tensors if t.covered} == {"a.weight": "signed", "b.weight": "same"}
    loaded = subbit.load(tmp_path / "m.sbit", base=parent())
    assert np.array_equal(np.signbit(loaded["a.weight"]), np.signbit(model["a.weight"]))
    with pytest.raises(SubbitError, match="no 'base' sign plane") as caught:
        subbit.plan(tuned(), signs="base", base=parent())
    assert caught.value.tensor == "classes.weight"
    with pytest.raises(subbit.UsageError, match="no parent to take signs from"):
        subbit.plan(model, signs="base")


def test_a_plan_is_for_its_parent_alone(tmp_path: Path) -> None:
    plan = subbit.Plan.from_json(subbit.plan(tuned(), bits=1.0, base=parent()).to_json())
    first = subbit.compress(tuned(), tmp_path / "one.sbit", plan=plan, base=parent())
    subbit.compress(tuned(), tmp_path / "two.sbit", bits=1.0, base=parent())
    assert first.path.read_bytes() == (tmp_path / "two.sbit").read_bytes()
    for base in (None, parent() | {"a.weight": tuned()["a.weight"]}):
        with pytest.raises(SubbitError) as caught:
            subbit.compress(tuned(), tmp_path / "three.sbit", plan=plan, base=base)
        assert (caught.value.kind, caught.value.tensor) == ("parent", "a.weight")
    assert not (tmp_path / "three.sbit").exists()


def test_a_rule_of_a_user_takes_the_parent_at_hand(tmp_path: Path) -> None:
    plan = (
        subbit.plan(tuned(), base=parent()).using("*.weight", subbit.Delta(rate=0.5)).using("classes*", subbit.Dense())
    )
    report = subbit.compress(tuned(), tmp_path / "m.sbit", plan=plan, base=parent())
    codecs = {t.name: t.codec for t in report.tensors}
    assert (codecs["a.weight"], codecs["b.weight"], codecs["norm.weight"]) == ("delta", "delta", "dense")


def changed(arrays: Arrays, name: str, value: np.ndarray | None) -> Arrays:
    rest = {key: array for key, array in arrays.items() if key != name}
    return rest if value is None else rest | {name: value}


READERS: list[Callable[[Path, Any], object]] = [
    lambda path, base: subbit.load(path, base=base),
    lambda path, base: subbit.decompress(path, path.with_name("out.safetensors"), base=base),
    lambda path, base: subbit.verify(path, base=base),
    lambda path, base: subbit.open(path, base=base)["a.weight"].decode(),
]


@pytest.mark.parametrize("read", READERS)
@pytest.mark.parametrize(
    ("base", "text"),
    [
        (changed(parent(), "a.weight", parent()["a.weight"] * np.float32(1.0001)), "content hash"),
        (changed(parent(), "a.weight", parent()["b.weight"]), "has shape"),
        (changed(parent(), "a.weight", parent()["a.weight"].astype(np.float64)), "content hash"),
        (changed(parent(), "a.weight", np.full((128, 96), np.nan, np.float32)), "content hash"),
        (changed(parent(), "a.weight", None), "no tensor of this name"),
    ],
)
def test_another_parent_is_noticed_before_any_weight(
    home: Path, read: Callable[[Path, Any], object], base: Arrays, text: str
) -> None:
    before = sorted(home.iterdir())
    with pytest.raises(SubbitError, match=text) as caught:
        read(home / "tuned.sbit", base)
    assert (caught.value.kind, caught.value.tensor) == ("parent", "a.weight")
    assert caught.value.path == str(home / "tuned.sbit")
    assert sorted(home.iterdir()) == before


def test_without_the_parent_the_error_says_what_is_needed(home: Path) -> None:
    subbit.verify(home / "tuned.sbit")  # its own bytes are whole
    with pytest.raises(SubbitError) as caught:
        subbit.load(home / "tuned.sbit")
    assert caught.value.kind == "parent"
    with subbit.open(home / "tuned.sbit") as file:
        assert file[caught.value.tensor or ""].encoded.knobs["parent"] in str(caught.value)
        file["classes.weight"].decode()
    for part in ("--base", "base=", "'parent.safetensors'"):
        assert part in str(caught.value)


def test_a_parent_that_is_not_needed_changes_nothing(home: Path, tmp_path: Path) -> None:
    subbit.compress(parent(), tmp_path / "m.sbit", bits=2.0)
    plain = subbit.load(tmp_path / "m.sbit")
    for base in (tuned(), {}):
        loaded = subbit.load(tmp_path / "m.sbit", base=base)
        assert all(np.array_equal(array, loaded[name]) for name, array in plain.items())
        subbit.verify(tmp_path / "m.sbit", base=base)
    other = {name: np.full_like(array, np.nan) for name, array in parent().items() if array.dtype == np.float32}
    subbit.compress(parent(), tmp_path / "n.sbit", bits=2.0, base=other)
    assert (tmp_path / "n.sbit").read_bytes() == (tmp_path / "m.sbit").read_bytes()


def test_a_parent_that_needs_a_parent_is_no_parent(home: Path, tmp_path: Path) -> None:
    with pytest.raises(SubbitError) as caught:
        subbit.compress(tuned(), tmp_path / "m.sbit", base=home / "tuned.sbit")
    assert (caught.value.kind, caught.value.path) == ("parent", str(home / "tuned.sbit"))
    with pytest.raises(SubbitError) as caught:
        subbit.open(home / "tuned.sbit", base=home / "missing.safetensors")
    assert caught.value.kind == "missing"
