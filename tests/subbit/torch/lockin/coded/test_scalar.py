"""The step of scalar codes follows the weights."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from subbit.codecs import DeadZone, LowBit
from subbit.torch import lockin


def regression(codec, rate: float, seed: int) -> tuple[nn.Linear, lockin.Quantized, list[float]]:
    """A square matrix fitted to noise, whose weights grow far beyond where they start."""
    torch.manual_seed(0)
    model = nn.Linear(64, 64, bias=False)
    nn.init.normal_(model.weight, std=0.1)
    torch.manual_seed(seed)
    inputs, outputs = torch.randn(16, 64), torch.randn(16, 64)
    quantized = lockin.quantize(model, codec)
    optimizer = torch.optim.Adam(model.parameters(), rate)
    losses = []
    for _ in range(80):
        optimizer.zero_grad()
        loss = (model(inputs) - outputs).square().mean()
        loss.backward()
        optimizer.step()
        quantized.step()
        losses.append(loss.item())
    return model, quantized, losses


@pytest.mark.parametrize("seed", [1, 2])
@pytest.mark.parametrize("codec", [DeadZone(1.0), DeadZone(0.5), LowBit(0.6)], ids=str)
def test_the_step_follows_growing_weights_and_does_not_run_away(codec, seed):
    model, _, losses = regression(codec, 1e-2, seed)
    assert max(losses) < 2 * losses[0]
    assert min(losses) < 0.8 * losses[0]
    assert model.weight.abs().max() < 5


def test_weights_that_jump_are_not_cut_for_long():
    model, quantized, _ = regression(LowBit(0.6), 1e-3, 1)
    latent = model.parametrizations.weight.original
    with torch.no_grad():
        latent.mul_(1e4)
    quantized.step()
    assert (latent - model.weight).square().sum() < 0.5 * latent.square().sum()
