from __future__ import annotations

import os
from fnmatch import fnmatch
from pathlib import Path

import pytest
import torch
from torch import nn

import subbit
from subbit.planning import Rule
from subbit.torch.state import as_array

os.environ.setdefault("HF_HUB_OFFLINE", "1")


class Net(nn.Module):
    """A linear, a convolution and a norm: each kind of weight that gains can hold."""

    def __init__(self) -> None:
        super().__init__()
        self.first = nn.Linear(24, 32)
        self.norm = nn.LayerNorm(32)
        self.conv = nn.Conv1d(4, 8, 3, padding=1)
        self.last = nn.Linear(64, 6, bias=False)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        hidden = torch.relu(self.norm(self.first(x))).view(-1, 4, 8)
        return self.last(torch.relu(self.conv(hidden)).flatten(1))


def compressed(model: nn.Module, path: Path, bits: float, skip: str = "") -> Path:
    """Every matrix at `bits` bits, whatever else these small ones cost; `skip` is kept as it is."""
    arrays = {name: as_array(tensor) for name, tensor in model.state_dict().items() if name != "lm_head.weight"}
    coded = [name for name, array in arrays.items() if array.ndim > 1 and not fnmatch(name, skip)]
    rules = [Rule(name, subbit.DeadZone(bits)) for name in coded]
    subbit.compress(arrays, path, plan=subbit.Plan((*rules, Rule("*", subbit.Dense(), covered=False))))
    return path


@pytest.fixture
def net() -> Net:
    torch.manual_seed(0)
    return Net().eval()


@pytest.fixture
def data() -> list[torch.Tensor]:
    generator = torch.Generator().manual_seed(1)
    return [torch.randn(16, 24, generator=generator) for _ in range(16)]
