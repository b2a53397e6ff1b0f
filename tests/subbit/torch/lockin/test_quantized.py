from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

import subbit
from subbit.codecs.magnitudes.vector import Vector
from subbit.signs import Angle, Hashed, LowRank, Stored
from subbit.torch import lockin
from subbit.torch.lockin.coded import Coded
from subbit.torch.templates import template_signs

VECTOR = Vector(4, 8)


def bits_of(tensor: torch.Tensor) -> np.ndarray:
    return tensor.detach().contiguous().view(torch.uint8).numpy()


def tuned(model, quantized, loss, steps, rate=1e-2) -> list[float]:
    optimizer = torch.optim.AdamW(model.parameters(), rate)
    losses = []
    for step in range(steps):
        value = loss(model, step)
        value.backward()
        optimizer.step()
        quantized.step()
        optimizer.zero_grad()
        losses.append(value.item())
    return losses


@pytest.fixture
def locked(net):
    model = net()
    return model, lockin.attach(model, keep="project")


def assert_file_holds_the_forward_pass(model, quantized, path, targets) -> None:
    report = quantized.to_sbit(path)
    arrays = subbit.load(path)
    for name in targets:
        inside = model.get_submodule(name.removesuffix(".weight")).weight
        assert np.array_equal(arrays[name].view(np.uint8), bits_of(inside))
    with subbit.open(path) as file:
        assert {name for name in file if file[name].covered} == set(targets)
        assert report.coded_bits_per_weight == file.coded_bits_per_weight
        assert report.file_bytes == path.stat().st_size


def test_the_file_holds_the_trained_bits_and_no_signs(locked, loss, tmp_path):
    model, lock = locked
    quantized = lockin.quantize(lock, VECTOR)
    losses = tuned(model, quantized, loss, 60)
    assert sum(losses[-5:]) < 0.8 * sum(losses[:5])
    assert_file_holds_the_forward_pass(model, quantized, tmp_path / "m.sbit", list(lock.planes))
    with subbit.open(tmp_path / "m.sbit") as file:
        for name in lock.planes:
            assert set(file[name].encoded.sections) == {"codes", "codebook", "scales"}
            assert file[name].encoded.bits <= subbit.Signed(lock.planes[name], VECTOR).bits(file[name].shape)
        assert file.aliases == {"head.weight": "embed.weight"}


def test_without_a_template_the_signs_are_trained_and_stored(net, loss, tmp_path):
    model = net()
    before = model.up.weight.signbit()
    quantized = lockin.quantize(model, VECTOR, targets=["up.weight", "down.weight"])
    tuned(model, quantized, loss, 40)
    assert (model.up.weight.signbit() ^ before).any()
    assert_file_holds_the_forward_pass(model, quantized, tmp_path / "m.sbit", ["up.weight", "down.weight"])


def test_the_last_phase_moves_codebooks_and_scales_only(locked, loss, tmp_path):
    model, lock = locked
    quantized = lockin.quantize(lock, VECTOR)
    tuned(model, quantized, loss, 5)
    quantized.freeze()
    coded = model.up.parametrizations.weight[0]
    codes, latent, book = coded.codes.clone(), lock.locked[1].weight.detach().clone(), coded.book.detach().clone()
    tuned(model, quantized, loss, 5)
    assert torch.equal(coded.codes, codes)
    assert torch.equal(lock.locked[1].weight, latent)
    assert not torch.equal(coded.book, book)
    assert any(parameter is coded.book for parameter in quantized.parameters())
    assert_file_holds_the_forward_pass(model, quantized, tmp_path / "m.sbit", list(lock.planes))


@settings(deadline=None, max_examples=25)
@given(
    rows=st.integers(1, 9), cols=st.integers(1, 23), dim=st.integers(1, 7), entries=st.integers(1, 9),
    plane=st.sampled_from([Hashed(3), Angle(4), LowRank(3, 5), Stored()]),
    scale=st.sampled_from([0.0, 1e-20, 0.02, 1e9]),
    dtype=st.sampled_from([torch.float32, torch.bfloat16, torch.float16, torch.float64]), seed=st.integers(0, 99),
)  # fmt: skip
def test_forward_and_decoder_agree_to_the_bit(rows, cols, dim, entries, plane, scale, dtype, seed):
    generator = torch.Generator().manual_seed(seed)
    weight = (torch.randn(rows, cols, generator=generator) * scale).clamp(-6e4, 6e4).to(dtype)
    coded = Coded(weight, plane, Vector(dim, entries))
    with torch.no_grad():
        for parameter in coded.parameters():  # far from what fitting gives, negative ones too
            parameter.add_(torch.randn(parameter.shape, generator=generator))
        coded.assign(weight)
    forward = coded(weight)
    assert forward.dtype == dtype
    decoded = subbit.decode(coded.encoded(weight))
    assert np.array_equal(decoded.view(np.uint8), bits_of(forward))


@pytest.mark.parametrize("cols", [16, 18])
def test_codes_are_the_nearest_entries(cols):
    torch.manual_seed(0)
    weight = torch.randn(5, cols)
    coded = Coded(weight, Hashed(1), Vector(4, 6))
    signs = template_signs(Hashed(1), weight.shape)
    values, book = (weight * signs), coded.book.detach().div(coded.step).round() * coded.step
    scales = coded.scales.detach().half().float() * coded.unit
    for i, row in enumerate(values / scales[:, None]):
        for j, point in enumerate(row.split(4)):
            distances = (book[:, : len(point)] - point).square().sum(1)
            assert distances[coded.codes[i, j]] <= distances.min() + 1e-5


def test_gradients_go_straight_through():
    weight = nn.Parameter(torch.randn(3, 8, generator=torch.Generator().manual_seed(0)))
    coded = Coded(weight, Hashed(1), Vector(4, 2))
    slope = torch.randn(3, 8, generator=torch.Generator().manual_seed(1))
    (coded(weight) * slope).sum().backward()
    assert torch.equal(weight.grad, slope)
    signs = template_signs(Hashed(1), (3, 8))
    entries = (coded.book.detach() / coded.step).round()[coded.codes].flatten(1) * coded.step
    assert torch.allclose(coded.scales.grad, (slope * signs * entries).sum(1) * coded.unit, rtol=1e-5)
    assert (coded.book.grad != 0).any()


def test_the_lock_keeps_the_latent_weights_and_can_let_go(locked, loss):
    model, lock = locked
    quantized = lockin.quantize(lock, VECTOR)
    tuned(model, quantized, loss, 3)
    lock.step()
    assert lock.flips().total == 0
    inside = model.up.weight.detach().clone()
    lock.detach()
    assert torch.equal(model.up.weight, inside)
    assert "weight" in model.up._parameters


def test_compiled_and_autocast_models_see_the_same_weights(locked, loss):
    model, lock = locked
    lockin.quantize(lock, VECTOR)
    compiled = torch.compile(model, backend="aot_eager", fullgraph=True)
    losses = [loss(model, 0), loss(compiled, 0)]
    slopes = [torch.autograd.grad(value, list(model.parameters())) for value in losses]
    assert torch.allclose(*losses)
    assert all(torch.allclose(a, b, atol=1e-6) for a, b in zip(*slopes, strict=True))
    with torch.autocast("cpu", torch.bfloat16):
        loss(model, 0).backward()
    assert all(parameter.grad is not None for parameter in model.parameters())


def test_a_checkpoint_resumes_to_the_same_bits(net, loss):
    def fresh():
        model = net()
        return model, lockin.quantize(lockin.attach(model, keep="project"), VECTOR)

    (model, quantized), (other, resumed) = fresh(), fresh()
    tuned(model, quantized, loss, 4)
    other.load_state_dict(model.state_dict())
    for pair in ((model, quantized), (other, resumed)):
        tuned(*pair, loss, 3)
    assert all(torch.equal(a, b) for a, b in zip(model.parameters(), other.parameters(), strict=True))


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
