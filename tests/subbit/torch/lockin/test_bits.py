"""What `subbit compress` makes of a saved template-signed model, counted by `subbit inspect`."""

from __future__ import annotations

import itertools
import math
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn

from subbit import Angle, Hadamard, Hashed, LowRank, compress
from subbit.bits.entropy import binary_entropy
from subbit.torch import lockin
from tests.cli.process import subbit


def trained(layers: int, **options: Any) -> lockin.LockIn:
    """Some layers 512 wide and a few steps of the optimizer."""
    torch.manual_seed(0)
    model = nn.Sequential(*(nn.Linear(512, 512) for _ in range(layers)))
    lock = lockin.attach(model, seed=3, **options)
    optimizer = torch.optim.AdamW(model.parameters(), 3e-3)
    for _ in range(4):
        x = torch.randn(32, 512)
        (nn.functional.mse_loss(model(x), x.roll(1, 1)) + lock.penalty()).backward()
        optimizer.step()
        lock.step()
        optimizer.zero_grad()
    return lock


def counts(folder: Path) -> tuple[dict[str, Any], dict[str, float]]:
    """What `inspect bits-per-weight` counts, and bits a weight of all that signs need, by tensor."""
    tensors = subbit("inspect", "tensors", "m.sbit", "--json", cwd=folder).json()["tensors"]
    parts = {t["name"]: [t["sections"].get(part, 0) for part in ("signs", "flips")] for t in tensors}
    free = {t["name"]: 8 * sum(parts[t["name"]]) / math.prod(t["shape"]) for t in tensors if t["codec"] == "signed"}
    return subbit("inspect", "bits-per-weight", "m.sbit", "--json", cwd=folder).json(), free


def test_signs_of_every_template_cost_nothing_when_projected(tmp_path):
    kinds = itertools.cycle([Hashed, Hadamard, Angle, lambda seed: LowRank(16, seed)])
    lock = trained(4, template=lambda seed: next(kinds)(seed), keep="project")
    assert {plane.kind for plane in lock.planes.values()} == {"hashed", "hadamard", "angle", "lowrank"}
    compress(lock.save(tmp_path / "m.safetensors"), bits=0.5)
    counted, signs = counts(tmp_path)
    assert signs == dict.fromkeys(lock.planes, 0.0)
    assert counted["coded"]["weights"] == 4 * 512 * 512
    assert 0.45 < counted["coded"]["bits_per_weight"] < 0.5


def test_flips_cost_their_entropy_and_a_correction_stays_within_the_budget(tmp_path):
    lock = trained(2, template="angle", correction_rank=4)
    assert lock.flips().total < 1e-4
    flips = {"0.weight": 6, "1.weight": 26}
    for item in lock.locked:
        with torch.no_grad():
            item.weight.copy_(torch.where(item.negative(), -1.0, 1.0) * item.weight.abs())
            item.weight.view(-1)[torch.randperm(512 * 512)[: flips[item.name]]] *= -1
    lock.save(tmp_path / "m.safetensors")
    compress(tmp_path / "m.safetensors", bits=0.5)
    counted, signs = counts(tmp_path)
    assert 0 < signs["0.weight"] < 0.001
    for name, bits in signs.items():
        assert bits * 512 * 512 <= binary_entropy(flips[name] / 512**2) * 512 * 512 * 1.2 + 64
    assert counted["coded"]["bits_per_weight"] < 0.5
    matrices = {t["name"]: 8 * t["bytes"] for t in counted["tensors"] if not t["name"].endswith("bias")}
    assert sum(matrices.values()) < 0.51 * 2 * 512 * 512  # a correction is paid even if its numbers are not weights
    assert matrices["0.weight.correction"] == pytest.approx(5 * 4 * 1024, rel=0.25)
