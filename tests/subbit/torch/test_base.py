"""The parent checkpoint on its way into torch modules."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

import subbit
from subbit.errors import SubbitError
from subbit.torch import attach, load_model
from subbit.torch.state import state_dict


def arrays(model: torch.nn.Module) -> dict[str, np.ndarray]:
    return {name: tensor.detach().numpy().copy() for name, tensor in model.state_dict().items()}


@pytest.fixture
def saved(tmp_path: Path) -> tuple[Path, dict[str, np.ndarray]]:
    torch.manual_seed(0)
    parent = arrays(torch.nn.Sequential(torch.nn.Linear(64, 48), torch.nn.Linear(48, 8)))
    tuned = parent | {"1.weight": parent["1.weight"] * np.float32(1.01)}
    subbit.compress(tuned, tmp_path / "m.sbit", bits=1.0, base=parent)
    return tmp_path / "m.sbit", parent


def test_the_parent_reaches_every_door(saved: tuple[Path, dict[str, np.ndarray]]) -> None:
    path, parent = saved
    expected = subbit.load(path, base=parent)
    for load in (lambda model: attach(model, path, base=parent), lambda model: load_model(path, model, base=parent)):
        model = torch.nn.Sequential(torch.nn.Linear(64, 48), torch.nn.Linear(48, 8))
        load(model)
        assert all(np.array_equal(array, expected[name]) for name, array in arrays(model).items())
    assert all(np.array_equal(t.numpy(), expected[name]) for name, t in state_dict(path, base=parent).items())


def test_another_parent_leaves_the_module_as_it_was(saved: tuple[Path, dict[str, np.ndarray]]) -> None:
    path, parent = saved
    model = torch.nn.Sequential(torch.nn.Linear(64, 48), torch.nn.Linear(48, 8))
    before = arrays(model)
    last = sorted(parent)[-1]
    for base in (None, parent | {last: parent[last] + 1}):
        with pytest.raises(SubbitError) as caught:
            attach(model, path, base=base)
        assert caught.value.kind == "parent"
        assert all(np.array_equal(array, before[name]) for name, array in arrays(model).items())
