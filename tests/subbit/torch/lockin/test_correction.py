from __future__ import annotations

import pytest
import torch
from torch import nn

from subbit.errors import SubbitError, UsageError
from subbit.torch import lockin


@pytest.mark.parametrize("layer", [lambda: nn.Linear(80, 64), lambda: nn.Conv2d(16, 24, 3)])
def test_it_starts_by_cancelling_the_templates_spectrum(layer):
    torch.manual_seed(0)
    model, plain = layer(), layer()
    plain.load_state_dict(model.state_dict())
    lockin.attach(model, "angle", correction_rank=4)
    lockin.attach(plain, "angle")
    assert torch.equal(model.parametrizations.weight.original, plain.weight)
    before = torch.linalg.svdvals(plain.weight.detach().flatten(1))
    after = torch.linalg.svdvals(model.weight.detach().flatten(1))
    assert torch.allclose(after[: len(before) - 4], before[4:], rtol=1e-3, atol=1e-4)
    assert before[0] > 3 * after[0]


@pytest.mark.parametrize("keep", ["project", "barrier"])
def test_signs_are_kept_and_the_factors_learn(net, training, keep):
    model = net()
    lock = lockin.attach(model, "angle", keep=keep, correction_rank=2)
    a = model.up.parametrizations.weight[0].a.clone()
    losses = training(model, lock, torch.optim.AdamW(model.parameters(), lr=0.02), range(60))
    assert losses[-1] < 0.6 * losses[0]
    assert lock.flips().total <= (0 if keep == "project" else 0.01)
    assert not torch.equal(model.up.parametrizations.weight[0].a, a)


def test_detaching_folds_it(net):
    model = net()
    lock = lockin.attach(model, "angle", correction_rank=2)
    effective = model.up.weight.detach().clone()
    state = net().state_dict()
    lock.detach()
    assert torch.equal(model.up.weight, effective)
    assert model.state_dict().keys() == state.keys()
    assert lock.penalty().item() == 0


def test_saved_parts_fold_to_the_effective_weights(net, tmp_path):
    from safetensors.torch import load_file

    model = net()
    lock = lockin.attach(model, "angle", correction_rank=2)
    tensors = load_file(lock.save(tmp_path / "m.safetensors"))
    assert tensors["up.weight.correction"].shape == (2, 32 + 16)
    assert tensors["conv.weight.correction"].shape == (2, 16 + 48)
    assert torch.equal(tensors["conv.weight"], model.conv.parametrizations.weight.original)
    folded = lockin.fold(tensors)
    for name in ("conv.weight", "up.weight", "down.weight"):
        assert torch.allclose(folded.pop(name), weight(model, name), atol=1e-6)
    assert folded.keys() == tensors.keys() - {n for n in tensors if n.startswith(("conv.w", "up.w", "down.w"))}


def weight(model, name):
    owner, leaf = name.rsplit(".", 1)
    return getattr(model.get_submodule(owner), leaf)


@pytest.mark.parametrize(
    ("tensors", "text"),
    [({"w.correction": torch.ones(1, 6)}, "'w', which is missing"),
     ({"w": torch.ones(2, 3), "w.correction": torch.ones(1, 6)}, r"\(1, 6\) does not fit 2 x 3"),
     ({"w": torch.ones(2, 3), "w.correction": torch.ones(5)}, r"\(5,\) does not fit")],
)  # fmt: skip
def test_a_correction_that_does_not_fit_is_an_error(tensors, text):
    with pytest.raises(SubbitError, match=text) as caught:
        lockin.fold(tensors)
    assert (caught.value.kind, caught.value.tensor) == ("correction", "w.correction")


def test_tied_weights_cannot_have_one(net):
    model = net()
    with pytest.raises(UsageError, match="untie") as caught:
        lockin.attach(model, targets="embed.weight", correction_rank=2)
    assert caught.value.kind == "tied"


def test_it_leaves_the_random_state_of_torch_alone(net):
    model = net()
    torch.manual_seed(5)
    expected = torch.rand(3)
    torch.manual_seed(5)
    lockin.attach(model, "angle", correction_rank=2)
    assert torch.equal(torch.rand(3), expected)
