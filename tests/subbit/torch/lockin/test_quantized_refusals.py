"""What codes in the loop refuse, and when."""

from __future__ import annotations

import pytest
import torch
from safetensors.torch import load_file

import subbit
from subbit.codecs import DeadZone
from subbit.torch import lockin
from tests.subbit.torch.lockin.quantizing import VECTOR, each_codec, tuned


def test_saving_latent_weights_is_refused_until_they_are_let_go(locked, loss, tmp_path):
    model, lock = locked
    quantized = lockin.quantize(lock, VECTOR)
    with pytest.raises(subbit.UsageError, match="to_sbit") as caught:
        lock.save(tmp_path / "m.safetensors")
    assert caught.value.kind == "quantized"
    assert caught.value.tensor == "conv.weight"
    assert not list(tmp_path.iterdir())
    tuned(model, quantized, loss, 2)
    inside = model.up.weight.detach().clone()
    lock.detach()
    stored = load_file(lock.save(tmp_path / "m.safetensors"))
    assert torch.equal(stored["up.weight"], inside)


def test_nan_is_refused_and_nothing_is_left(locked, tmp_path):
    quantized = lockin.quantize(locked[1], VECTOR)
    with torch.no_grad():
        quantized.parameters()[0].fill_(float("nan"))
    with pytest.raises(subbit.SubbitError, match=r"conv\.weight"):
        quantized.to_sbit(tmp_path / "m.sbit")
    assert not list(tmp_path.iterdir())


def test_bad_input_changes_nothing(net):
    model = net()
    before = {name: tensor.clone() for name, tensor in model.state_dict().items()}

    def refused(kind: str, *args, **options) -> None:
        with pytest.raises(subbit.SubbitError) as caught:
            lockin.quantize(*args, **options)
        assert caught.value.kind == kind

    refused("codec", model, "vector")
    refused("codec", model, subbit.Scales())
    refused("codec", model, subbit.Dense())
    refused("targets", model, VECTOR, targets="nothing*")
    refused("tied", model, VECTOR, targets=["up.weight", "embed.weight"])
    assert model.state_dict().keys() == before.keys()
    assert all(torch.equal(tensor, before[name]) for name, tensor in model.state_dict().items())
    with torch.no_grad():
        model.down.weight[0, 0] = float("nan")
    refused("nonfinite", model, VECTOR)
    assert not hasattr(model.up, "parametrizations")
    model = net(1)
    lock = lockin.attach(model, "angle", correction_rank=1)
    refused("parametrized", lock, VECTOR)
    again = net(2)
    lockin.quantize(again, VECTOR)
    refused("parametrized", again, VECTOR, targets="*original")


@pytest.mark.parametrize("pull", [-0.1, 1.5, float("nan")])
def test_a_pull_that_is_no_share_is_refused_before_anything_changes(pull, locked):
    model, lock = locked
    before = dict(model.named_parameters())
    with pytest.raises(subbit.UsageError, match="no share") as caught:
        lockin.quantize(lock, VECTOR, pull=pull)
    assert caught.value.kind == "pull"
    assert dict(model.named_parameters()).keys() == before.keys()


@each_codec
def test_nan_weights_are_named_before_any_codes_change(codec, locked):
    model, lock = locked
    quantized = lockin.quantize(lock, codec)
    before = {name: tensor.clone() for name, tensor in model.state_dict().items() if not name.endswith("original")}
    with torch.no_grad():
        lock.locked[-1].weight[0, 0] = torch.nan
    with pytest.raises(subbit.SubbitError, match="NaN") as caught:
        quantized.step()
    assert (caught.value.kind, caught.value.tensor) == ("nonfinite", lock.locked[-1].name)
    assert all(torch.equal(model.state_dict()[name], tensor) for name, tensor in before.items())


def test_nan_scales_are_named_even_when_codes_are_frozen(locked):
    _, lock = locked
    quantized = lockin.quantize(lock, VECTOR)
    quantized.freeze()
    with torch.no_grad():
        quantized.parameters()[0].fill_(torch.nan)
    with pytest.raises(subbit.SubbitError, match="NaN") as caught:
        quantized.step()
    assert caught.value.kind == "nonfinite"


def test_after_detaching_there_is_nothing_to_train_or_write(locked, tmp_path):
    _, lock = locked
    quantized = lockin.quantize(lock, VECTOR)
    lock.detach()
    for act in (quantized.step, lambda: quantized.to_sbit(tmp_path / "m.sbit")):
        with pytest.raises(subbit.UsageError, match="no longer") as caught:
            act()
        assert caught.value.kind == "detached"
    assert not list(tmp_path.iterdir())


def test_what_codes_cannot_follow_is_refused(net):
    model = net()
    with pytest.raises(subbit.UsageError, match="at most 6 bits"):
        lockin.quantize(model, DeadZone(8.0))
    with torch.no_grad():
        model.up.weight.zero_()
    with pytest.raises(subbit.UsageError, match="all zeros") as caught:
        lockin.quantize(model, VECTOR)
    assert caught.value.tensor == "up.weight"
    assert not hasattr(model.conv, "parametrizations")
    quantized = lockin.quantize(model, VECTOR, targets="down.weight")
    with pytest.raises(subbit.UsageError, match="parametrized"):
        lockin.attach(model, targets="down.parametrizations.weight.original")
    assert not quantized.frozen
