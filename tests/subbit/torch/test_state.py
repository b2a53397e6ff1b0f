from __future__ import annotations

from pathlib import Path

import ml_dtypes
import numpy as np
import pytest
import torch

import subbit
from subbit.planning import Plan, Rule
from subbit.torch import state_dict
from subbit.torch.state import as_array, torch_dtype
from subbit_formats.dtypes import ITEM_SIZES, numpy_dtype

random = np.random.default_rng(0)
ARRAYS = {
    "bf16": random.standard_normal((8, 24)).astype(ml_dtypes.bfloat16),
    "bool": np.array([True, False]),
    "empty": np.zeros((0, 3), np.float32),
    "f8": random.standard_normal((6, 5)).astype(ml_dtypes.float8_e4m3fn),
    "linear": random.standard_normal((32, 48)).astype(np.float32),
    "scalar": np.array(2.5, np.float64),
    "steps": np.array([3, -1], np.int64),
}


@pytest.fixture(scope="module")
def stored(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("state") / "m.sbit"
    subbit.compress(ARRAYS, path, plan=Plan((Rule("*", subbit.DeadZone(3.0)),)))
    return path


def test_tensors_hold_the_bits_that_load_gives(stored: Path) -> None:
    tensors, arrays = state_dict(stored), subbit.load(stored)
    assert list(tensors) == list(arrays) == sorted(ARRAYS)
    for name, array in arrays.items():
        assert tensors[name].dtype == torch_dtype(ARRAYS[name].dtype.name)
        assert tuple(tensors[name].shape) == array.shape
        assert as_array(tensors[name]).tobytes() == array.tobytes()


@pytest.mark.parametrize("dtype", [torch.bfloat16, "float16"])
def test_only_floats_take_the_dtype(stored: Path, dtype: torch.dtype | str) -> None:
    tensors = state_dict(stored, dtype)
    arrays = subbit.load(stored, dtype=str(dtype).removeprefix("torch."))
    assert tensors["steps"].dtype == torch.int64
    assert tensors["scalar"].dtype == torch_dtype(dtype)
    for name, array in arrays.items():
        assert as_array(tensors[name]).tobytes() == array.tobytes()


def test_tied_names_share_one_tensor(tmp_path: Path) -> None:
    weight = torch.randn(24)
    torch.save({"a": weight, "b": weight}, tmp_path / "m.pt")
    subbit.compress(tmp_path / "m.pt", tmp_path / "m.sbit")
    tensors = state_dict(tmp_path / "m.sbit")
    assert tensors["a"] is tensors["b"]


@pytest.mark.parametrize("name", ITEM_SIZES)
def test_torch_and_numpy_share_the_memory_of_every_type(name: str) -> None:
    tensor = torch.zeros((2, 3), dtype=torch_dtype(name))
    array = as_array(tensor)
    assert array.dtype == numpy_dtype(name)
    array.view(np.uint8)[...] = 1
    assert bytes(tensor.view(torch.uint8).flatten().tolist()) == array.tobytes()


def test_unknown_dtype(stored: Path) -> None:
    with pytest.raises(subbit.SubbitError, match="float7") as caught:
        state_dict(stored, "float7")
    assert caught.value.kind == "dtype"
