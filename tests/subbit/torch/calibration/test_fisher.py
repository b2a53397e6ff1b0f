"""What outputs matter: literal gradients, and the estimate of an error against the error."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
from torch import nn

from subbit.torch import calibrate
from tests.subbit.torch.calibration.models import convolutions, gpt2, llama, mixtral, tokens


def all_experts() -> nn.Module:
    """No expert is left out, so that no error changes the choice: that jump has no second order."""
    return mixtral(chosen=4)


@pytest.mark.parametrize("make", [llama, gpt2, all_experts])
def test_the_error_estimates_the_loss_that_is_added(make: Callable[[], nn.Module]) -> None:
    model, data = make().eval(), tokens(8)
    found = calibrate(model, data)
    estimated = 0.0
    generator = torch.Generator().manual_seed(7)
    with torch.no_grad():
        before = [model(batch).logits.log_softmax(-1) for batch in data]
        for name in found:
            parameter = model.get_parameter(name)
            error = torch.randn(parameter.shape, generator=generator) * 0.005
            parameter += error
            estimated += found[name].error(error.numpy().reshape(found[name].shape))
        after = [model(batch).logits.log_softmax(-1) for batch in data]
    added = [float((a.exp() * (a - b)).sum(-1).mean()) for a, b in zip(before, after, strict=True)]
    assert 0.6 < estimated / (sum(added) / len(added)) < 1.6


def test_rows_of_a_given_loss_are_literal() -> None:
    model = convolutions()
    data = [torch.randn(3, 3, 9, 9, generator=torch.Generator().manual_seed(k)) for k in range(2)]
    model(data[0])
    goal = torch.randn(3, 5)
    found = calibrate(model, data, loss=lambda output, batch: ((output - goal) ** 2).sum(dim=1).mean())
    model.eval()
    literal = torch.zeros(5)
    for batch in data:
        for item, wanted in zip(batch, goal, strict=True):
            output = model(item[None])
            output.retain_grad()
            ((output - wanted) ** 2).sum().backward()
            literal += output.grad[0] ** 2 / 12
    assert found.layers["8.weight"].rows()[0] == pytest.approx(literal.numpy(), rel=1e-4)


def test_rows_of_a_convolution_are_those_of_its_weights_gradients() -> None:
    model = convolutions()
    data = [torch.randn(3, 3, 9, 9, generator=torch.Generator().manual_seed(k)) for k in range(2)]
    model(data[0])
    goal = torch.randn(3, 5)

    def loss(output: torch.Tensor, batch: torch.Tensor) -> torch.Tensor:
        return ((output - goal) ** 2).sum(dim=1).mean()

    found = calibrate(model, data, loss=loss)
    model.eval()
    for name, at, wide in (("0.weight", 0, (3, 3)), ("6.weight", 6, (1, 5))):
        literal, weight = torch.zeros(len(model[at].weight)), model[at].weight
        weight.requires_grad_()
        for batch in data:
            weight.grad = None
            (3 * loss(model(batch), batch)).backward()
            read = model[:at](batch)
            read = read[:, :, None] if read.ndim == 3 else read
            patches = torch.nn.functional.unfold(read, wide, padding=int(at == 0), stride=(2, 2) if at == 0 else (1, 3))
            literal += weight.grad.square().flatten(1).sum(dim=1) / patches.square().sum(dim=1).mean() / 12
        assert found.layers[name].rows()[0] == pytest.approx(literal.detach().numpy(), rel=1e-3)


def test_without_fisher_all_rows_are_one_and_nothing_else_differs() -> None:
    model, data = llama(), tokens()
    full, half = calibrate(model, data), calibrate(model, data, fisher=False)
    assert list(full) == list(half)
    for name in full:
        assert (half[name].rows == 1).all()
        assert half[name].columns == pytest.approx(full[name].columns, rel=1e-4, abs=1e-6)
    assert half.provenance["fisher"] == "false"
