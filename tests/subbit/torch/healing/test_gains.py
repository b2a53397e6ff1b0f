from __future__ import annotations

import torch
from torch import nn

from subbit.torch.healing.gains import Gains, gained, ungained


def moved(weight: torch.Tensor, rank: int = 0) -> Gains:
    gains = Gains(weight, rank, True, True)
    for parameter in gains.parameters():
        parameter.data.normal_(std=0.3)
    return gains


def test_a_linear_layer_with_gains_is_one_with_a_scaled_weight() -> None:
    torch.manual_seed(0)
    plain = nn.Sequential(nn.Linear(12, 7))
    gains = moved(plain[0].weight, rank=2)
    x = torch.randn(3, 5, 12, requires_grad=True)
    wanted = nn.functional.linear(x, gains(plain[0].weight.detach()), plain[0].bias)
    seed = torch.randn_like(wanted)
    inputs = [x, gains.log_rows, gains.log_columns, gains.a, gains.b]
    expected = torch.autograd.grad((wanted * seed).sum(), inputs)
    gained(plain, "0.weight", gains, torch.float32)
    found = plain(x)
    torch.testing.assert_close(found, wanted)
    for a, b in zip(torch.autograd.grad((found * seed).sum(), inputs), expected, strict=True):
        torch.testing.assert_close(a, b, rtol=1e-4, atol=1e-5)


def test_bfloat16_products_stay_near() -> None:
    torch.manual_seed(0)
    plain = nn.Sequential(nn.Linear(64, 32, bias=False))
    gains, x = moved(plain[0].weight), torch.randn(9, 64)
    wanted = (x @ gains(plain[0].weight).T).detach()
    gained(plain, "0.weight", gains, torch.bfloat16)
    found = plain(x).detach()
    assert found.dtype == torch.bfloat16
    assert float((found - wanted).norm() / wanted.norm()) < 0.01


def test_other_modules_scale_the_weight_and_get_it_back() -> None:
    torch.manual_seed(0)
    model = nn.Sequential(nn.Conv2d(3, 8, 3), nn.Linear(4, 4))
    before = {name: tensor.clone() for name, tensor in model.state_dict().items()}
    gains = moved(model[0].weight)
    gained(model, "0.weight", gains, torch.float32)
    gained(model, "1.weight", moved(model[1].weight), torch.float32)
    scale = gains.log_rows.exp()[:, None] * gains.log_columns.exp()
    torch.testing.assert_close(model[0].weight, before["0.weight"] * scale.view(8, 3, 3, 3))
    ungained(model)
    assert {name: tuple(tensor.shape) for name, tensor in model.state_dict().items()} == {
        name: tuple(tensor.shape) for name, tensor in before.items()
    }
    assert all(torch.equal(tensor, before[name]) for name, tensor in model.state_dict().items())
    assert type(model[1]) is nn.Linear
