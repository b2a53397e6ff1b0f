"""Codes in the loop beside everything else that a training loop has."""

from __future__ import annotations

import pytest
import torch

from subbit.torch import lockin
from tests.subbit.torch.lockin.quantizing import VECTOR, assert_file_holds_the_forward_pass, each_codec, tuned


@each_codec
def test_a_compiled_model_sees_the_same_weights(codec, locked, loss):
    model, lock = locked
    lockin.quantize(lock, codec)
    compiled = torch.compile(model, backend="aot_eager", fullgraph=True)
    losses = [loss(model, 0), loss(compiled, 0)]
    slopes = [torch.autograd.grad(value, list(model.parameters())) for value in losses]
    assert torch.allclose(*losses)
    assert all(torch.allclose(a, b, atol=1e-6) for a, b in zip(*slopes, strict=True))


@each_codec
def test_autocast_trains_what_the_file_holds(codec, locked, loss, tmp_path):
    model, lock = locked
    quantized = lockin.quantize(lock, codec)
    exact = model.up.weight
    with torch.autocast("cpu", torch.bfloat16):
        assert torch.equal(model.up.weight, exact)
        tuned(model, quantized, loss, 10)
    assert_file_holds_the_forward_pass(model, quantized, tmp_path / "m.sbit", list(lock.planes))


@each_codec
def test_accumulated_gradients_are_those_of_the_whole_batch(codec, locked, loss):
    model, lock = locked
    lockin.quantize(lock, codec)
    parameters = list(model.parameters())
    whole = torch.autograd.grad((loss(model, 0) + loss(model, 1)) / 2, parameters)
    for step in (0, 1):
        (loss(model, step) / 2).backward()
    for parameter, gradient in zip(parameters, whole, strict=True):
        assert torch.allclose(parameter.grad, gradient, atol=1e-7)


@each_codec
def test_a_gradient_scaler_changes_no_bit_and_skips_a_step_that_overflows(codec, net, loss):
    def scaled(scale: float | None) -> dict[str, torch.Tensor]:
        model = net()
        lock = lockin.attach(model, keep="project")
        quantized = lockin.quantize(lock, codec, pull=0)  # which would move weights in a step that is skipped
        optimizer = torch.optim.AdamW(model.parameters(), 1e-2)
        scaler = torch.amp.GradScaler("cpu", init_scale=scale or 1.0, growth_interval=100, enabled=scale is not None)
        for step in range(6):
            if step == 3 and scale is None:
                quantized.step()
                continue
            scaler.scale(loss(model, step) * (float("inf") if step == 3 else 1)).backward()
            before = [parameter.detach().clone() for parameter in model.parameters()]
            scaler.step(optimizer)
            scaler.update()
            quantized.step()
            optimizer.zero_grad()
            if step == 3:
                assert all(torch.equal(a, b) for a, b in zip(before, model.parameters(), strict=True))
        return model.state_dict()

    plain, with_scaler = scaled(None), scaled(1024.0)
    assert all(torch.equal(tensor, with_scaler[name]) for name, tensor in plain.items())


@pytest.mark.parametrize("keep", ["barrier", "project"])
def test_a_lock_passes_frozen_weights_over(keep, net, loss):
    model = net()
    lock = lockin.attach(model, keep=keep)
    quantized = lockin.quantize(lock, VECTOR)
    optimizer = torch.optim.AdamW(model.parameters(), 1e-2)
    for step in range(6):
        if step == 3:
            quantized.freeze()
            latent = [item.weight.detach().clone() for item in lock.locked]
            measured = lock.state_dict()["mean_squares"]
        penalty = lock.penalty()
        assert (penalty > 0) == (keep == "barrier" and step in (1, 2))
        (loss(model, step) + penalty).backward()
        optimizer.step()
        lock.step()
        quantized.step()
        optimizer.zero_grad()
    assert lock.steps == 6
    assert lock.state_dict()["mean_squares"] == measured
    assert all(torch.equal(item.weight, before) for item, before in zip(lock.locked, latent, strict=True))


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


def test_latent_weights_go_their_share_of_the_way_to_the_codes(locked):
    model, lock = locked
    quantized = lockin.quantize(lock, VECTOR, pull=0.25)
    latent = lock.locked[0].weight
    before, coded = latent.detach().clone(), model.conv.weight.detach().clone()
    assert not torch.equal(before, coded)
    quantized.step()
    assert torch.allclose(latent, before + 0.25 * (coded - before))
    quantized.freeze()
    after = latent.detach().clone()
    quantized.step()
    assert torch.equal(latent, after)


@each_codec
def test_a_type_change_afterwards_keeps_what_the_file_holds(codec, locked, loss, tmp_path):
    model, lock = locked
    quantized = lockin.quantize(lock, codec)
    model.half()
    quantized.step()
    assert_file_holds_the_forward_pass(model, quantized, tmp_path / "m.sbit", list(lock.planes))
