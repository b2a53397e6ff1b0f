from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import nn

from subbit.bits.packing import unpack_signs
from subbit.errors import SubbitError, UsageError
from subbit.records import matrix_shape
from subbit.signs import Angle, Hadamard, Hashed, LowRank, signs
from subbit.signs.seeds import seed_for
from subbit.torch import lockin


class Conv1D(nn.Module):
    """As in transformers: a linear with its weight transposed."""

    def __init__(self) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.randn(6, 18))
        self.bias = nn.Parameter(torch.zeros(18))


class Zoo(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.embed_tokens = nn.Embedding(10, 6)
        self.pos = nn.Parameter(torch.randn(1, 5, 6))
        self.c_attn = Conv1D()
        self.attn = nn.MultiheadAttention(6, 2)
        self.conv1 = nn.Conv1d(6, 4, 3)
        self.conv2 = nn.Conv2d(3, 4, 3)
        self.conv3 = nn.Conv3d(2, 3, 3)
        self.linear = nn.Linear(6, 7)
        self.norm = nn.LayerNorm([5, 6])
        self.experts = nn.Module()
        self.experts.gate_up_proj = nn.Parameter(torch.randn(3, 6, 8))
        self.lm_head = nn.Linear(6, 10)


USUAL = [
    "c_attn.weight", "attn.in_proj_weight", "attn.out_proj.weight", "conv1.weight", "conv2.weight", "conv3.weight",
    "linear.weight", "experts.gate_up_proj",
]  # fmt: skip


def names(targets) -> list[str]:
    return list(lockin.attach(Zoo(), targets=targets).planes)


def test_a_star_takes_layers_but_no_embeddings_heads_and_norms():
    assert sorted(names("*")) == sorted(USUAL)


@pytest.mark.parametrize(
    ("targets", "found"),
    [
        ("conv?.weight", {"conv1.weight", "conv2.weight", "conv3.weight"}),
        (["linear.*", "pos"], {"linear.weight", "pos"}),
        ("embed_tokens.weight", {"embed_tokens.weight"}),
        (["*", "lm_head.weight", "norm.weight"], {*USUAL, "lm_head.weight", "norm.weight"}),
        ("*.weight", {name for name in USUAL if name.endswith(".weight")}),
    ],
)
def test_patterns(targets, found):
    assert set(names(targets)) == found


def test_a_pattern_that_matches_nothing_lists_the_names():
    with pytest.raises(UsageError, match=r"'layers\.\*'.*linear\.weight") as caught:
        lockin.attach(Zoo(), targets=["*", "layers.*"])
    assert caught.value.kind == "targets"
    with pytest.raises(UsageError, match="full name"):
        lockin.attach(Zoo(), targets="embed*")


def test_names_are_those_inside_a_compiled_module():
    model = torch.compile(Zoo(), backend="eager")
    assert sorted(lockin.attach(model).planes) == sorted(USUAL)


@pytest.mark.parametrize(
    ("template", "plane"),
    [
        ("hashed", Hashed), ("hadamard", Hadamard), ("angle", Angle), (Angle, Angle),
        ("lowrank", lambda seed: LowRank(16, seed)), ("lowrank:3", lambda seed: LowRank(3, seed)),
        (lambda seed: LowRank(2, seed), lambda seed: LowRank(2, seed)),
    ],
)  # fmt: skip
def test_the_signs_are_those_of_the_sign_planes(template, plane):
    model = Zoo()
    lock = lockin.attach(model, template, seed=5)
    parameters = dict(model.named_parameters())
    for name, own in lock.planes.items():
        assert own == plane(seed_for(5, name))
        rows, cols = matrix_shape(tuple(parameters[name].shape))
        negative = unpack_signs(signs(own, b"", rows, cols), cols)
        assert np.array_equal(np.signbit(parameters[name].detach().numpy().reshape(rows, cols)), negative)
    assert lock.flips() == (0.0, dict.fromkeys(lock.planes, 0.0))


def broken(change) -> Zoo:
    model = Zoo()
    with torch.no_grad():
        change(model)
    return model


def integers(model):
    model.linear.weight = nn.Parameter(torch.ones(7, 6, dtype=torch.int8), requires_grad=False)


def meta(model):
    model.linear.to("meta")


@pytest.mark.parametrize(
    ("change", "options", "kind"),
    [
        (integers, {}, "dtype"),
        (meta, {}, "meta"),
        (lambda model: model.linear.weight.zero_(), {}, "gap"),
        (lambda model: model.linear.weight[2, 3].fill_(torch.nan), {}, "nonfinite"),
        (lambda model: model.linear.weight[2, 3].fill_(torch.inf), {}, "nonfinite"),
        (lambda model: None, {"gap": 9.0}, "gap"),
        (lambda model: None, {"gap": {"linear.weight": 2.5}}, "gap"),
        (lambda model: None, {"gap": -1.0}, "gap"),
        (lambda model: None, {"gap": float("nan")}, "gap"),
        (lambda model: None, {"gap": 0.0}, "gap"),
        (lambda model: None, {"gap": {"layers.*": 0.5}}, "targets"),
        (lambda model: None, {"template": "random"}, "template"),
        (lambda model: None, {"template": "lowrank:x"}, "template"),
        (lambda model: None, {"template": "lowrank:0"}, "template"),
        (lambda model: None, {"template": lambda seed: seed}, "template"),
        (lambda model: None, {"template": Hashed(3)}, "template"),
        (lambda model: None, {"seed": -1}, "seed"),
        (lambda model: None, {"keep": "signs"}, "keep"),
        (lambda model: None, {"barrier": 0.0}, "barrier"),
        (lambda model: None, {"correction_rank": 6}, "correction"),
        (lambda model: None, {"correction_rank": -1}, "correction"),
    ],
)
def test_bad_input_changes_no_weight(change, options, kind):
    model = broken(change)
    before = {name: parameter.clone() for name, parameter in model.named_parameters()}
    with pytest.raises(SubbitError) as caught:
        lockin.attach(model, **options)
    assert caught.value.kind == kind
    for name, parameter in model.named_parameters():
        assert parameter.is_meta or torch.equal(parameter.nan_to_num(9.0), before[name].nan_to_num(9.0))
