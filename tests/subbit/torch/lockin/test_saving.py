from __future__ import annotations

import json

import numpy as np
import pytest
import torch
from safetensors import safe_open
from safetensors.torch import load_model
from torch import nn

import subbit
from subbit.signs import declared, from_dict
from subbit.torch import lockin
from subbit.torch import state_dict as load_sbit


def wide() -> nn.Sequential:
    torch.manual_seed(0)
    return nn.Sequential(nn.Linear(256, 512), nn.ReLU(), nn.Linear(512, 256))


def metadata(path) -> dict[str, str]:
    with safe_open(path, "pt") as file:
        return file.metadata()


@pytest.mark.parametrize("template", ["hashed", "angle", "hadamard", "lowrank:3"])
def test_compressing_uses_the_declared_template_and_stores_no_sign(template, tmp_path):
    model = wide()
    lock = lockin.attach(model, template, seed=3, keep="project")
    with torch.no_grad():
        model[0].weight[:40].mul_(-1)  # these are projected to zero, which costs no flip either
    lock.step()
    path = lock.save(tmp_path / "m.safetensors")
    subbit.compress(path, bits=0.5)
    with subbit.open(tmp_path / "m.sbit") as file:
        for name, plane in lock.planes.items():
            assert from_dict(file[name].encoded.knobs["signs"]) == plane
            assert not {"signs", "flips"} & set(file[name].encoded.sections)
        assert file.coded_bits_per_weight <= 0.5
    for name, tensor in load_sbit(tmp_path / "m.sbit").items():
        item = {item.name: item for item in lock.locked}.get(name)
        assert item is None or torch.equal(tensor.signbit() & (tensor != 0), item.negative() & (tensor != 0))


def test_the_declaration_stands_in_the_metadata(tmp_path):
    lock = lockin.attach(wide(), "lowrank:3", seed=3)
    text = metadata(lock.save(tmp_path / "m.safetensors"))[declared.METADATA_KEY]
    assert declared.parse(text) == lock.planes
    assert json.loads(text)["0.weight"] == {"kind": "lowrank", "rank": 3, "seed": lock.planes["0.weight"].seed}


def test_tied_tensors_are_written_once_and_come_back_tied(net, tmp_path):
    model = net()
    lock = lockin.attach(model, targets=["*", "embed.weight"])
    path = lock.save(tmp_path / "m.safetensors")
    assert metadata(path)["head.weight"] == "embed.weight"
    other = net(1)
    load_model(other, path)
    for name, tensor in model.state_dict().items():
        assert torch.equal(other.state_dict()[name], tensor)
    subbit.compress(path, plan=subbit.Plan((subbit.planning.plan.Rule("*", subbit.Dense()),)))
    arrays = subbit.load(tmp_path / "m.sbit")
    assert np.array_equal(arrays["head.weight"], model.embed.weight.detach().numpy())


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
def test_saving_keeps_types_and_memory_formats_apart(net, tmp_path, dtype):
    model = nn.Conv2d(8, 8, 3).to(dtype).to(memory_format=torch.channels_last)
    lock = lockin.attach(model)
    other = nn.Conv2d(8, 8, 3).to(dtype)
    load_model(other, lock.save(tmp_path / "m.safetensors"))
    assert torch.equal(other.weight, model.weight)


def test_nothing_is_overwritten_unless_forced(tmp_path):
    lock = lockin.attach(wide())
    path = lock.save(tmp_path / "m.safetensors")
    with pytest.raises(subbit.UsageError, match="exists"):
        lock.save(path)
    assert lock.save(path, force=True) == path
    assert [entry.name for entry in tmp_path.iterdir()] == ["m.safetensors"]


def test_corrections_are_compressed_counted_and_folded(tmp_path):
    model = wide()
    lock = lockin.attach(model, "angle", correction_rank=2)
    subbit.compress(lock.save(tmp_path / "m.safetensors"), bits=4.0)
    with subbit.open(tmp_path / "m.sbit") as file:
        assert file["0.weight.correction"].shape == (2, 768)
        assert file["0.weight.correction"].covered
        assert file.coded_bits_per_weight <= 4.0
    folded = lockin.fold(load_sbit(tmp_path / "m.sbit"))
    lock.detach()
    assert folded.keys() == model.state_dict().keys()
    error = (folded["0.weight"] - model[0].weight).square().sum() / model[0].weight.square().sum()
    assert error < 0.02


def test_at_half_a_bit_a_correction_takes_few_bits_a_number_and_loses_little(tmp_path):
    model = wide()
    lock = lockin.attach(model, "angle", correction_rank=4)
    report = subbit.compress(lock.save(tmp_path / "m.safetensors"), bits=0.5)
    assert report.coded_bits_per_weight <= 0.5
    decoded = load_sbit(tmp_path / "m.sbit")
    for name in ("0.weight", "2.weight"):
        row = next(row for row in report.tensors if row.name == f"{name}.correction")
        assert 3 < row.bits_per_weight < 6
        wanted = model.get_submodule(name[0]).parametrizations.weight[0]
        a, b = decoded[row.name].split(list(model.get_submodule(name[0]).weight.shape), dim=1)
        exact = wanted.a @ wanted.b.T
        assert (a.T @ b - exact).square().sum() < 0.01 * exact.square().sum()
