from __future__ import annotations

import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

from subbit.errors import UsageError
from subbit.torch import lockin
from subbit.torch.lockin.barrier import log_barrier


@settings(deadline=None, max_examples=40)
@given(st.lists(st.floats(-1, 1, width=32), min_size=1, max_size=20), st.floats(0.01, 2))
def test_the_barrier_is_its_formula(weights, a):
    weight = torch.tensor(weights, requires_grad=True)
    value = log_barrier(weight, a)
    assert value.item() == pytest.approx(sum(math.log(max(1, a / (abs(w) + a / 20))) for w in weights), abs=1e-4)
    value.backward()
    due = [-math.copysign(1 / (abs(w) + a / 20), w) if w and abs(w) < 0.949 * a else 0.0 for w in weights]
    near = [0.949 * a <= abs(w) <= 0.951 * a for w in weights]
    assert all(n or g == pytest.approx(d, rel=1e-4) for g, d, n in zip(weight.grad.tolist(), due, near, strict=True))


def test_the_barrier_is_nothing_outside_the_gap():
    weight = torch.tensor([0.3, -0.5, 7.0], requires_grad=True)
    value = log_barrier(weight, 0.3)
    value.backward()
    assert value.item() == 0
    assert not weight.grad.any()


@pytest.mark.parametrize(
    ("barrier", "forces"),
    [
        (lockin.Barrier(2.0), {0: 2.0, 10**6: 2.0}),
        (lockin.Barrier(2.0, hold=10, decay=20), {0: 2.0, 10: 2.0, 15: 1.5, 20: 1.0, 30: 0.0, 99: 0.0}),
        (lockin.Barrier(2.0, hold=10, decay=20, shape="cosine"), {10: 2.0, 20: 1.0, 25: 2 * 0.1464466, 30: 0.0}),
    ],
)
def test_the_schedule_is_constant_and_then_decays(barrier, forces):
    assert {step: barrier.at(step) for step in forces} == pytest.approx(forces, abs=1e-6)


@pytest.mark.parametrize("options", [{"force": -1.0}, {"force": math.nan}, {"hold": -1}, {"decay": -1}, {"shape": "x"}])
def test_a_barrier_that_means_nothing_is_refused(options):
    with pytest.raises(UsageError) as caught:
        lockin.Barrier(**options)
    assert caught.value.kind == "barrier"


@pytest.mark.parametrize("scale", [1.0, 1e-4])
def test_the_force_is_a_ratio_to_the_gradient_outside_the_gap(scale):
    torch.manual_seed(0)
    model = nn.Linear(64, 32, bias=False)
    lock = lockin.attach(model, barrier=0.7)
    assert lock.penalty().item() == 0
    gradient = torch.randn(32, 64) * scale
    model.weight.grad = gradient.clone()
    lock.step()
    a = lock.locked[0].threshold
    with torch.no_grad():
        outside = model.weight.abs() >= a
        model.weight[0, :2] = torch.tensor([a * 0.45, -a * 0.45])  # |W| + ε = a / 2
    model.weight.grad = None
    lock.penalty().backward()
    rms = gradient[outside].square().mean().sqrt().item()
    assert model.weight.grad[0, :2].tolist() == pytest.approx([-0.7 * rms, 0.7 * rms], rel=1e-4)
    assert not model.weight.grad[1:].any()


def test_the_barriers_own_gradient_does_not_feed_it():
    torch.manual_seed(0)
    model = nn.Linear(64, 64, bias=False)
    lock = lockin.attach(model, barrier=50.0)
    with torch.no_grad():
        model.weight[:32] *= 0.1
    gradient = torch.randn(64, 64)
    for _ in range(20):
        model.weight.grad = gradient.clone()
        lock.penalty().backward() if lock.steps else None
        lock.step()
    outside = model.weight.abs() >= lock.locked[0].threshold
    assert model.weight.grad[~outside].abs().max() > 10
    assert lock.locked[0].mean_square == pytest.approx(gradient[outside].square().mean().item(), rel=1e-4)


def test_large_matrices_are_measured_on_a_sample_of_all_rows_and_columns():
    torch.manual_seed(0)
    model = nn.Linear(512, 1024, bias=False)
    lock = lockin.attach(model)
    model.weight.grad = torch.randn(1024, 512) * torch.rand(1024, 1) * torch.rand(512)
    lock.step()
    outside = model.weight.abs() >= lock.locked[0].threshold
    assert lock.locked[0].mean_square == pytest.approx(model.weight.grad[outside].square().mean().item(), rel=0.05)


def test_a_cleared_gradient_is_an_error_and_not_a_barrier_of_nothing():
    model = nn.Linear(8, 8)
    lock = lockin.attach(model)
    with pytest.raises(UsageError, match="before zero_grad") as caught:
        lock.step()
    assert caught.value.kind == "gradient"


@pytest.mark.parametrize("keep", ["project", "free"])
def test_the_others_have_no_penalty(keep):
    model = nn.Linear(8, 8)
    lock = lockin.attach(model, keep=keep)
    model.weight.grad = torch.ones(8, 8)
    lock.step()
    assert lock.penalty().item() == 0
    assert not lock.penalty().requires_grad
