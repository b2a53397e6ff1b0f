from __future__ import annotations

import math

import pytest
import torch
from torch import nn

from subbit.torch import lockin
from subbit.torch.lockin.packed import pack_bits, unpack_bits


def model_of(weight: torch.Tensor) -> nn.Linear:
    linear = nn.Linear(weight.shape[1], weight.shape[0])
    with torch.no_grad():
        linear.weight.copy_(weight)
    return linear


def laws() -> dict[str, torch.Tensor]:
    generator = torch.Generator().manual_seed(3)
    shape = (96, 80)
    return {
        "normal": torch.randn(shape, generator=generator) * 0.02,
        "uniform": (torch.rand(shape, generator=generator) * 2 - 1) / 9,
        "student": torch.randn(shape, generator=generator) / torch.rand(shape, generator=generator).sqrt(),
    }


@pytest.mark.parametrize("law", ["normal", "uniform", "student"])
@pytest.mark.parametrize("gap", [0.25, 0.5, 1.0])
def test_magnitudes_keep_their_law_above_the_gap(law, gap):
    before = laws()[law]
    model = model_of(before)
    lockin.attach(model, gap=gap)
    after, old = model.weight.detach().abs().double(), before.abs().double()
    assert after.norm().item() == pytest.approx(old.norm().item(), rel=1e-6)
    kept = before.abs() >= gap * before.std(correction=0).item()
    share = (after[kept] / old[kept]).median()
    assert torch.allclose(after[kept], old[kept] * share, rtol=1e-6)
    pool, drawn = old[kept], after[~kept] / share
    nearest = (drawn[:, None] / pool - 1).abs().amin(1)
    assert nearest.max() < 1e-6
    drawn *= 1 + 1e-6  # what float32 may have rounded away
    distance = max(
        abs((drawn <= q).float().mean() - (pool <= q).float().mean())
        for q in pool.quantile(torch.arange(0.1, 1, 0.1).double())
    )
    assert distance < 2.0 * math.sqrt(1 / len(drawn) + 1 / len(pool))  # Kolmogorov–Smirnov, p below .001


def test_no_gap_keeps_every_magnitude_and_a_second_time_everything():
    before = laws()["normal"]
    model = model_of(before)
    lockin.attach(model, gap=0.0, keep="project")
    assert torch.equal(model.weight.abs(), before.abs())
    first = model.weight.clone()
    lockin.attach(model, gap=0.0, keep="project")
    assert torch.equal(model.weight, first)


def test_each_matrix_has_its_own_gap():
    model = nn.Sequential(nn.Linear(64, 64), nn.Linear(64, 64), nn.Linear(64, 64))
    spread = [layer.weight.std(correction=0).item() for layer in model]
    lock = lockin.attach(model, gap={"0.*": 1.25, "1.weight": 0.25})
    least = [layer.weight.abs().min().item() for layer in model]
    assert least == pytest.approx([item.threshold for item in lock.locked], rel=0.01)
    widest = [layer.weight.abs().max().item() for layer in model]
    uniform = [math.sqrt((1 + c + c * c) / 3) for c in (1.25 / math.sqrt(3), 0.25 / math.sqrt(3), 0.5 / math.sqrt(3))]
    assert widest == pytest.approx([s / root for s, root in zip(spread, uniform, strict=True)], rel=0.05)


def test_the_same_seed_gives_the_same_bits_and_another_does_not():
    weights = []
    for seed in (1, 1, 2):
        model = model_of(laws()["normal"])
        lockin.attach(model, seed=seed)
        weights.append(model.weight.detach())
    assert torch.equal(weights[0], weights[1])
    assert not torch.equal(weights[0].abs(), weights[2].abs())
    assert 0.4 < (weights[0].sign() != weights[2].sign()).float().mean() < 0.6


def test_zero_rows_stay_zero():
    weight = laws()["normal"]
    weight[5] = 0
    model = model_of(weight)
    lock = lockin.attach(model)
    assert not model.weight[5].any()
    assert lock.flips().total == 0


@pytest.mark.parametrize("shape", [(), (1,), (7, 3), (8, 16), (3, 5, 7), (0, 4)])
def test_packed_bits_come_back(shape):
    negative = torch.rand(shape, generator=torch.Generator().manual_seed(1)) < 0.5
    packed = pack_bits(negative)
    assert packed.numel() == math.ceil(negative.numel() / 8)
    assert torch.equal(unpack_bits(packed, negative.shape), negative)


@pytest.mark.parametrize("keep", ["free", "project", "barrier"])
def test_a_lock_holds_one_bit_a_weight(keep):
    model = nn.Sequential(nn.Linear(100, 300), nn.Conv2d(8, 16, 3))
    lock = lockin.attach(model, keep=keep)
    for layer in model:
        layer.weight.grad = torch.ones_like(layer.weight)
    lock.step()
    for item in lock.locked:
        held = [value for value in vars(item).values() if isinstance(value, torch.Tensor)]
        assert sum(8 * value.nbytes for value in held) == item.weight.numel()
