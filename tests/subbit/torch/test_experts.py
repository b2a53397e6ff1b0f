from __future__ import annotations

import pytest
import torch

import subbit
from subbit.packed import pack
from subbit.torch.experts import PackedExperts


def test_each_expert_multiplies_and_does_nothing_else() -> None:
    weights = torch.randn(3, 2, 24, 32)
    codes = [
        [subbit.encode(part.numpy(), subbit.Trellis(1.0, variable=False)) for part in expert] for expert in weights
    ]
    experts = PackedExperts([[pack(part) for part in expert] for expert in codes])
    assert experts.shape == (3, 48, 32)
    dense = torch.stack([torch.cat([torch.from_numpy(subbit.decode(part)) for part in expert]) for expert in codes])
    assert torch.equal(experts.dense(torch.float32), dense)
    x = torch.randn(5, 32, requires_grad=True)
    for number in (1, torch.tensor(2)):
        y = torch.nn.functional.linear(x, experts[number])
        torch.testing.assert_close(y, x @ dense[int(number)].T, rtol=1e-4, atol=1e-5)
        (slope,) = torch.autograd.grad(y.sum(), x)
        torch.testing.assert_close(slope, dense[int(number)].sum(0).expand(5, 32), rtol=1e-4, atol=1e-5)
    with pytest.raises(subbit.UsageError, match="matmul"):
        torch.matmul(x, experts[0])
    assert not list(experts.parameters())
