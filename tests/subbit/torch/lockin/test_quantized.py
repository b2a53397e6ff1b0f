from __future__ import annotations

import numpy as np
import pytest
import torch
from safetensors.torch import load_file
from torch import nn

import subbit
from subbit.codecs import DeadZone, LowBit, OneOfN, Vector
from subbit.torch import lockin

VECTOR = Vector(4, 8)
SECTIONS = {
    VECTOR: {"codes", "codebook", "scales"},
    LowBit(0.9): {"model", "codes"},
    OneOfN(4): {"places", "factors"},
    OneOfN(4, "seeded", 3): {"factors"},
}
each_codec = pytest.mark.parametrize("codec", SECTIONS, ids=str)


def bits_of(tensor: torch.Tensor) -> np.ndarray:
    return tensor.detach().contiguous().view(torch.uint8).numpy()


def tuned(model, quantized, loss, steps) -> list[float]:
    optimizer = torch.optim.AdamW(model.parameters(), 1e-2)
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


@each_codec
def test_the_file_holds_the_trained_bits_and_no_signs(codec, locked, loss, tmp_path):
    model, lock = locked
    quantized = lockin.quantize(lock, codec)
    losses = tuned(model, quantized, loss, 60)
    assert sum(losses[-5:]) < 0.8 * sum(losses[:5])
    assert_file_holds_the_forward_pass(model, quantized, tmp_path / "m.sbit", list(lock.planes))
    with subbit.open(tmp_path / "m.sbit") as file:
        for name in lock.planes:
            assert set(file[name].encoded.sections) == SECTIONS[codec]
            assert file[name].encoded.bits <= subbit.Signed(lock.planes[name], codec).bits(file[name].shape)
        assert file.aliases == {"head.weight": "embed.weight"}


@each_codec
def test_without_a_template_the_signs_are_trained_and_stored(codec, net, loss, tmp_path):
    model = net()
    before = model.up.weight.signbit()
    quantized = lockin.quantize(model, codec, targets=["up.weight", "down.weight"])
    tuned(model, quantized, loss, 40)
    assert (model.up.weight.signbit() ^ before).any()
    assert_file_holds_the_forward_pass(model, quantized, tmp_path / "m.sbit", ["up.weight", "down.weight"])


def test_the_last_phase_moves_codebooks_and_scales_only(locked, loss, tmp_path):
    model, lock = locked
    quantized = lockin.quantize(lock, VECTOR)
    tuned(model, quantized, loss, 5)
    quantized.freeze()
    values = model.up.parametrizations.weight[0].values
    codes, latent, book = (tensor.detach().clone() for tensor in (values.codes, lock.locked[1].weight, values.book))
    tuned(model, quantized, loss, 5)
    assert torch.equal(values.codes, codes)
    assert torch.equal(lock.locked[1].weight, latent)
    assert not torch.equal(values.book, book)
    assert any(parameter is values.book for parameter in quantized.parameters())
    assert_file_holds_the_forward_pass(model, quantized, tmp_path / "m.sbit", list(lock.planes))


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


@each_codec
def test_a_type_change_afterwards_keeps_what_the_file_holds(codec, locked, loss, tmp_path):
    model, lock = locked
    quantized = lockin.quantize(lock, codec)
    model.half()
    quantized.step()
    assert_file_holds_the_forward_pass(model, quantized, tmp_path / "m.sbit", list(lock.planes))


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


def test_embeddings_are_lossless_on_request(locked, tmp_path):
    model, lock = locked
    quantized = lockin.quantize(lock, VECTOR)
    exact = []
    for bits in (8, 16):
        path = quantized.to_sbit(tmp_path / f"{bits}.sbit", embeddings=bits).path
        exact.append(np.array_equal(subbit.load(path)["embed.weight"], model.embed.weight.detach().numpy()))
    assert exact == [False, True]
