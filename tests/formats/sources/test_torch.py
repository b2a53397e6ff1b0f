"""torch checkpoints: nothing but tensors is loaded, and they come back as they were."""

from __future__ import annotations

import collections
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from subbit_formats.dtypes import ITEM_SIZES, numpy_dtype
from subbit_formats.errors import SubbitError
from subbit_formats.sources import open_source

DTYPES = [name for name in ITEM_SIZES if hasattr(torch, name)]
NEWER = ("float8", "uint16", "uint32", "uint64")  # torch's old format cannot hold these
OLD = [name for name in DTYPES if not name.startswith(NEWER)]
SHAPES = [(), (0,), (1, 3), (5,), (3, 2, 5), (2, 3, 1, 2)]


def saved(path: Path, checkpoint: Any, zipped: bool = True) -> Path:
    torch.save(checkpoint, path, _use_new_zipfile_serialization=zipped)
    return path


def refusal(path: Path) -> SubbitError:
    with pytest.raises(SubbitError) as caught:
        open_source(path)
    assert caught.value.path == str(path)
    return caught.value


@pytest.mark.parametrize(("dtypes", "zipped"), [(DTYPES, True), (OLD, False)], ids=["zip", "old"])
def test_every_type_and_shape(tmp_path: Path, dtypes: list[str], zipped: bool) -> None:
    generator = np.random.default_rng(0)
    raw = {}
    for dtype in dtypes:
        for shape in SHAPES:
            high = 2 if dtype == "bool" else 256
            count = int(np.prod(shape)) * ITEM_SIZES[dtype]
            raw[f"{dtype}{shape}"] = dtype, shape, generator.integers(0, high, count, np.uint8)
    tensors = {}
    for name, (dtype, shape, data) in raw.items():
        kind = getattr(torch, dtype)
        flat = torch.frombuffer(bytearray(data), dtype=kind) if data.size else torch.empty(0, dtype=kind)
        tensors[name] = flat.reshape(shape)
    source = open_source(saved(tmp_path / "w.pt", tensors, zipped))
    assert source.kind == "torch"
    assert list(source) == sorted(raw)
    for name, (dtype, shape, data) in raw.items():
        array = source[name].read()
        assert (source[name].dtype, source[name].shape, array.shape) == (dtype, shape, shape)
        assert array.dtype == numpy_dtype(dtype)
        assert array.tobytes() == data.tobytes()


def test_tied_tensors_are_aliases_and_other_views_are_not(tmp_path: Path) -> None:
    weight = torch.arange(12.0).reshape(3, 4)
    views = {"turned": weight.T, "row": weight[1], "empty": weight[:0]}
    checkpoint = collections.OrderedDict(embed=weight, head=weight, **views)
    source = open_source(saved(tmp_path / "w.pt", checkpoint))
    assert source.aliases == {"head": "embed"}
    assert list(source) == ["embed", "empty", "row", "turned"]
    for name in source:
        array = source[name].read()
        assert array.flags.c_contiguous
        np.testing.assert_array_equal(array, checkpoint[name].numpy())
    np.testing.assert_array_equal(source["turned"].read(), weight.T.numpy())  # a second time: nothing is lost


def test_reading_a_complex_conjugate(tmp_path: Path) -> None:
    weight = torch.tensor([1 + 2j, 3 - 4j])
    source = open_source(saved(tmp_path / "w.pt", {"w": weight.conj()}))
    assert source["w"].read().tolist() == [1 - 2j, 3 + 4j]


WEIGHTS = {"layer.weight": torch.ones(2, 2), "layer.bias": torch.zeros(2)}
CONTAINERS: dict[str, tuple[Any, list[str]]] = {
    "state dict": (WEIGHTS, ["layer.bias", "layer.weight"]),
    "wrapped": ({"state_dict": WEIGHTS, "epoch": 3}, ["layer.bias", "layer.weight"]),
    "wrapped twice": ({"model": {"state_dict": WEIGHTS}, "lr": 0.1}, ["layer.bias", "layer.weight"]),
    "beside an optimizer": (
        {"model": WEIGHTS, "optimizer": {"state": {0: {"exp_avg": torch.ones(2)}}}},
        ["layer.bias", "layer.weight"],
    ),
    "nested": (
        {"encoder": {"w": torch.ones(1)}, "decoder": [torch.ones(1), None]},
        ["decoder.0", "encoder.w"],
    ),
    "a tensor called model": ({"model": torch.ones(1), "note": "text"}, ["model"]),
    "bare tensor": (torch.ones(2), ["tensor"]),
    "numbers as keys": ({0: torch.ones(1)}, ["0"]),
    "parameter": ({"w": torch.nn.Parameter(torch.ones(1))}, ["w"]),
}


@pytest.mark.parametrize("container", CONTAINERS)
def test_containers_are_flattened(tmp_path: Path, container: str) -> None:
    checkpoint, names = CONTAINERS[container]
    source = open_source(saved(tmp_path / "w.pth", checkpoint))
    assert list(source) == names
    assert all(tensor.read() is not None for tensor in source.values())


def test_same_name_twice(tmp_path: Path) -> None:
    checkpoint = {"a.b": torch.ones(1), "a": {"b": torch.zeros(1)}}
    assert refusal(saved(tmp_path / "w.pt", checkpoint)).kind == "duplicate"
    shared = torch.ones(1)
    assert refusal(saved(tmp_path / "v.pt", {"a.b": shared, "a": {"b": shared}})).kind == "duplicate"


def test_containers_without_end(tmp_path: Path) -> None:
    loop: dict[str, Any] = {}
    loop["model"] = loop
    assert refusal(saved(tmp_path / "loop.pt", loop)).kind == "format"


@pytest.mark.parametrize("zipped", [True, False])
def test_pickles_with_code_are_refused_with_the_way_out(tmp_path: Path, zipped: bool) -> None:
    error = refusal(saved(tmp_path / "model.pt", torch.nn.Linear(2, 2), zipped))
    assert error.kind == "unsafe"
    assert "Linear" in str(error)
    assert "torch.save(model.state_dict(), path)" in str(error)


def test_pickle_that_would_run_a_command(tmp_path: Path) -> None:
    flag = tmp_path / "ran"
    command = f"touch {flag}".encode()
    path = tmp_path / "evil.bin"
    path.write_bytes(b"\x80\x02cos\nsystem\nX" + len(command).to_bytes(4, "little") + command + b"\x85R.")
    assert refusal(path).kind == "unsafe"
    assert not flag.exists()


@pytest.mark.parametrize("zipped", [True, False])
@pytest.mark.parametrize("keep", [0.1, 0.5, 0.99])
def test_truncated_and_damaged_files(tmp_path: Path, keep: float, zipped: bool) -> None:
    path = saved(tmp_path / "w.pt", {"w": torch.ones(1000)}, zipped)
    data = path.read_bytes()
    path.write_bytes(data[: int(keep * len(data))])
    assert refusal(path).kind in ("format", "unreadable")


def test_other_zip_files(tmp_path: Path) -> None:
    np.savez(tmp_path / "arrays.npz", a=np.ones(3))
    assert refusal(tmp_path / "arrays.npz").kind == "format"


@pytest.mark.parametrize("checkpoint", [{"epoch": 3}, {}, "text", 4])
def test_checkpoints_without_tensors(tmp_path: Path, checkpoint: object) -> None:
    assert "no tensors" in str(refusal(saved(tmp_path / "w.pt", checkpoint)))


def test_sparse_tensors_are_refused_by_name(tmp_path: Path) -> None:
    error = refusal(saved(tmp_path / "w.pt", {"s": torch.eye(3).to_sparse()}))
    assert (error.kind, error.tensor) == ("dtype", "s")
