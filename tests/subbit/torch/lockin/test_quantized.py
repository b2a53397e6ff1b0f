"""What a file holds of weights that were trained in codes."""

from __future__ import annotations

import numpy as np
import torch

import subbit
from subbit.torch import lockin
from tests.subbit.torch.lockin.quantizing import SECTIONS, VECTOR, assert_file_holds_the_forward_pass, each_codec, tuned


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


def test_embeddings_are_lossless_on_request(locked, tmp_path):
    model, lock = locked
    quantized = lockin.quantize(lock, VECTOR)
    exact = []
    for bits in (8, 16):
        path = quantized.to_sbit(tmp_path / f"{bits}.sbit", embeddings=bits).path
        exact.append(np.array_equal(subbit.load(path)["embed.weight"], model.embed.weight.detach().numpy()))
    assert exact == [False, True]
