from __future__ import annotations

import copy
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn

import subbit
from subbit.planning import Plan, Rule
from subbit.torch import Unmatched, attach
from subbit.torch.state import as_array

LOSSLESS = Plan((Rule("*", subbit.Dense()),))
CODED = Plan((Rule("*", subbit.DeadZone(3.0)),))


class Net(nn.Module):
    """A little of everything: a tie, a convolution, normalization with integer buffers, an unsaved buffer."""

    def __init__(self, tied: bool = True) -> None:
        super().__init__()
        self.embed = nn.Embedding(16, 12)
        self.conv = nn.Conv2d(3, 4, 3)
        self.norm = nn.BatchNorm1d(12)
        self.head = nn.Linear(12, 16, bias=False)
        self.register_buffer("rotary", torch.arange(5.0), persistent=False)
        if tied:
            self.head.weight = self.embed.weight


def save(tensors: dict[str, torch.Tensor], folder: Path, plan: Plan = LOSSLESS) -> Path:
    torch.save(tensors, folder / "m.pt")
    subbit.compress(folder / "m.pt", folder / "m.sbit", plan=plan, force=True)
    return folder / "m.sbit"


def snapshot(model: nn.Module) -> dict[str, bytes]:
    tensors = dict(model.named_parameters()) | dict(model.named_buffers())
    return {name: as_array(tensor.contiguous()).tobytes() for name, tensor in tensors.items()}


@pytest.fixture(scope="module")
def source() -> Net:
    torch.manual_seed(1)
    net = Net()
    net.norm.num_batches_tracked += 7
    return net


def test_attach_makes_the_module_the_stored_one(source: Net, tmp_path: Path) -> None:
    net = Net()
    head = net.head.weight
    assert attach(net, save(source.state_dict(), tmp_path)) == Unmatched((), ())
    assert snapshot(net) == snapshot(source)
    assert net.head.weight is net.embed.weight is head


def test_coded_weights_are_those_that_load_gives(source: Net, tmp_path: Path) -> None:
    path = save(source.state_dict(), tmp_path, CODED)
    net = Net()
    attach(net, path)
    arrays = subbit.load(path)
    assert {name: as_array(tensor).tobytes() for name, tensor in net.state_dict().items()} == {
        name: array.tobytes() for name, array in arrays.items()
    }


@pytest.mark.parametrize("name", ["embed.weight", "head.weight"])
def test_either_name_fills_a_tie(source: Net, tmp_path: Path, name: str) -> None:
    tensors = {key: t for key, t in source.state_dict().items() if key not in ("embed.weight", "head.weight")}
    net = Net()
    attach(net, save(tensors | {name: source.embed.weight.detach()}, tmp_path))
    assert torch.equal(net.head.weight, source.embed.weight)
    assert net.head.weight is net.embed.weight


def test_a_tie_in_the_file_fills_both_of_an_untied_module(source: Net, tmp_path: Path) -> None:
    net = Net(tied=False)
    attach(net, save(source.state_dict(), tmp_path))
    assert torch.equal(net.head.weight, source.embed.weight)
    assert torch.equal(net.embed.weight, source.embed.weight)
    assert net.head.weight is not net.embed.weight


def test_different_weights_for_a_tie_are_refused(source: Net, tmp_path: Path) -> None:
    tensors = source.state_dict() | {"head.weight": source.embed.weight.detach() + 1}
    with pytest.raises(subbit.SubbitError, match="ties") as caught:
        attach(Net(), save(tensors, tmp_path))
    assert caught.value.kind == "tied"
    equal = source.state_dict() | {"head.weight": source.embed.weight.detach().clone()}
    attach(Net(), save(equal, tmp_path))


def test_the_module_keeps_its_types_and_strides(source: Net, tmp_path: Path) -> None:
    net = Net().to(torch.bfloat16).to(memory_format=torch.channels_last)
    attach(net, save(source.state_dict(), tmp_path))
    assert net.conv.weight.dtype == torch.bfloat16
    assert net.conv.weight.is_contiguous(memory_format=torch.channels_last)
    assert torch.equal(net.conv.weight, source.conv.weight.to(torch.bfloat16))
    assert net.norm.num_batches_tracked.item() == 7


def test_meta_modules_become_real(source: Net, tmp_path: Path) -> None:
    path = save(source.state_dict() | {"rotary": torch.arange(5.0) + 1}, tmp_path)
    with torch.device("meta"):
        net = Net()
    net.conv.weight.requires_grad_(False)
    attach(net, path)
    assert not any(tensor.is_meta for tensor in [*net.parameters(), *net.buffers()])
    assert net.head.weight is net.embed.weight
    assert isinstance(net.embed.weight, nn.Parameter)
    assert not net.conv.weight.requires_grad
    assert net.embed.weight.requires_grad
    assert snapshot(net) == snapshot(source) | {"rotary": (np.arange(5, dtype=np.float32) + 1).tobytes()}


def test_a_buffer_that_would_stay_on_meta_is_missing(source: Net, tmp_path: Path) -> None:
    with torch.device("meta"):
        net = Net()
    with pytest.raises(subbit.SubbitError, match="lacks 'rotary'"):
        attach(net, save(source.state_dict(), tmp_path))
    assert all(tensor.is_meta for tensor in net.parameters())


def broken(change: dict[str, torch.Tensor | None]) -> dict[str, torch.Tensor]:
    tensors = Net().state_dict() | change
    return {name: tensor for name, tensor in tensors.items() if tensor is not None}


@pytest.mark.parametrize(
    ("change", "kind", "words"),
    [
        ({"conv.bias": None}, "names", ["lacks 'conv.bias'"]),
        ({"extra.weight": torch.ones(2, 2)}, "names", ["no 'extra.weight'"]),
        ({"conv.bias": None, "x": torch.ones(1)}, "names", ["lacks 'conv.bias'", "no 'x'"]),
        ({"conv.bias": torch.ones(5)}, "shape", ["conv.bias", "(5,)", "(4,)"]),
        ({"norm.num_batches_tracked": torch.tensor(1.0)}, "dtype", ["num_batches_tracked", "float32", "int64"]),
    ],
)
def test_a_file_that_does_not_fit_changes_nothing(
    tmp_path: Path, change: dict[str, torch.Tensor | None], kind: str, words: list[str]
) -> None:
    path = save(broken(change), tmp_path)
    net = Net()
    before = snapshot(net)
    with pytest.raises(subbit.SubbitError) as caught:
        attach(net, path)
    assert caught.value.kind == kind
    assert caught.value.path == str(path)
    assert all(word in str(caught.value) for word in words)
    assert snapshot(net) == before


def test_lenient_attach_takes_what_matches_and_says_what_did_not(source: Net, tmp_path: Path) -> None:
    tensors = {name: tensor for name, tensor in source.state_dict().items() if name != "conv.bias"}
    net = Net()
    bias = copy.deepcopy(net.conv.bias)
    path = save(tensors | {"extra": torch.ones(3)}, tmp_path)
    assert attach(net, path, strict=False) == Unmatched(("conv.bias",), ("extra",))
    assert torch.equal(net.conv.weight, source.conv.weight)
    assert torch.equal(net.conv.bias, bias)


def test_damage_is_found_before_anything_changes(source: Net, tmp_path: Path) -> None:
    path = save(source.state_dict(), tmp_path)
    data = bytearray(path.read_bytes())
    data[-1] ^= 1
    path.write_bytes(data)
    net = Net()
    before = snapshot(net)
    with pytest.raises(subbit.SubbitError):
        attach(net, path)
    assert snapshot(net) == before
