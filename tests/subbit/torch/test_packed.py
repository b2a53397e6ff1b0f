"""Models whose linear layers stay packed, against the same models decoded."""

from __future__ import annotations

import copy

import pytest
import torch
from torch import nn

import subbit
from subbit import UsageError
from subbit.torch import SubbitLinear, attach, lockin


class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.embed = nn.Embedding(50, 64)
        self.body = nn.Sequential(nn.Linear(64, 96), nn.GELU(), nn.Linear(96, 64, bias=False))
        self.norm = nn.LayerNorm(64)
        self.head = nn.Linear(64, 50, bias=False)
        self.head.weight = self.embed.weight

    def forward(self, ids):
        return self.head(self.norm(self.body(self.embed(ids))))


@pytest.fixture(params=["plain", "template"])
def pair(request, tmp_path):
    model, path = Net(), tmp_path / "net.sbit"
    if request.param == "template":
        lockin.attach(model, template="angle", targets="body.*").save(tmp_path / "net.safetensors")
        subbit.compress(tmp_path / "net.safetensors", path, bits=1.0)
    else:
        subbit.compress({name: part.detach().numpy() for name, part in model.named_parameters()}, path, bits=1.5)
    decoded, packed = copy.deepcopy(model), copy.deepcopy(model)
    attach(decoded, path)
    attach(packed, path, packed=True)
    return decoded, packed


def test_a_packed_model_says_the_same(pair):
    decoded, packed = pair
    assert [type(packed.body[k]) for k in (0, 2)] == [SubbitLinear, SubbitLinear]
    assert type(packed.head) is nn.Linear
    assert packed.head.weight is packed.embed.weight
    ids = torch.randint(0, 50, (3, 7))
    assert torch.allclose(decoded(ids), packed(ids), rtol=1e-3, atol=1e-4)
    assert "bytes" in repr(packed.body[0])


def test_gradients_flow_through_it(pair):
    decoded, packed = pair
    found = []
    for model in (decoded, packed):
        x = torch.ones(2, 64, requires_grad=True)
        model.body(x).square().sum().backward()
        found.append((x.grad, model.body[0].bias.grad))
    for one, other in zip(*found, strict=True):
        assert torch.allclose(one, other, rtol=1e-3, atol=1e-4)


def test_the_result_has_the_type_of_the_input(pair):
    _, packed = pair
    layer = packed.body[2]
    x = torch.randn(4, 96)
    assert layer(x.bfloat16()).dtype == torch.bfloat16
    assert torch.allclose(layer(x.bfloat16()).float(), layer(x), rtol=0.05, atol=0.05)


def test_elsewhere_than_on_the_cpu_it_says_so(pair):
    with pytest.raises(UsageError) as caught:
        pair[1].body[2](torch.empty(1, 96, device="meta"))
    assert caught.value.kind == "device"


def test_a_model_on_the_meta_device_stays_without_dense_weights(pair, tmp_path):
    path = tmp_path / "net.sbit"
    with torch.device("meta"):
        model = Net()
    attach(model, path, packed=True)
    assert not any(part.is_meta for part in model.parameters())
    assert {name for name, _ in model.named_parameters()} == {"embed.weight", "body.0.bias", "norm.weight", "norm.bias"}


def test_what_is_told_relative_to_a_parent_is_decoded(tmp_path):
    parent, tuned = Net(), Net()
    tuned.load_state_dict({name: part + 0.01 * torch.randn_like(part) for name, part in parent.state_dict().items()})
    arrays = [{name: part.detach().numpy() for name, part in each.named_parameters()} for each in (parent, tuned)]
    subbit.compress(arrays[1], tmp_path / "tuned.sbit", bits=0.5, base=arrays[0])
    models = [copy.deepcopy(parent) for _ in range(2)]
    for model, packed in zip(models, (False, True), strict=True):
        attach(model, tmp_path / "tuned.sbit", base=arrays[0], packed=packed)
    ids = torch.arange(20)[None]
    assert torch.allclose(models[0](ids), models[1](ids), rtol=1e-3, atol=1e-4)
