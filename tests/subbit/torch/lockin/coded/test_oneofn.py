from __future__ import annotations

import pytest
import torch
from torch import nn

from subbit.codecs import OneOfN
from subbit.signs import Hashed
from subbit.torch.lockin.coded import Coded
from subbit.torch.templates import template_signs


def random(*shape: int, seed: int = 0) -> torch.Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


@pytest.mark.parametrize("cols", [16, 18])
def test_the_kept_weights_leave_the_smallest_error(cols):
    weight = random(5, cols)
    coded = Coded(weight, Hashed(1), OneOfN(4))
    values, targets = coded.values, weight * template_signs(Hashed(1), weight.shape)
    products = (values.row()[:, None] * values.col()).detach()
    for i in range(5):
        for g, start in enumerate(range(0, cols, 4)):
            group, product = targets[i, start : start + 4], products[i, start : start + 4]
            errors = group.square().sum() - group.square() + (group - product).square()
            assert errors[int(values.places[i, g])] <= errors.min() + 1e-5


def test_only_kept_weights_move_the_factors():
    weight = nn.Parameter(random(3, 8))
    coded = Coded(weight, Hashed(1), OneOfN(4))
    slope = random(3, 8, seed=1)
    result = coded(weight)
    (result * slope).sum().backward()
    assert torch.equal(weight.grad, slope)
    values, signs = coded.values, template_signs(Hashed(1), (3, 8))
    assert ((result != 0).view(3, 2, 4).sum(-1) == 1).all()
    kept = slope * signs * (result != 0)
    row, col = values.row().detach(), values.col().detach()
    assert torch.allclose(values.row.halves.grad, (kept * col).sum(1) * values.row.unit, rtol=1e-5)
    assert torch.allclose(values.col.halves.grad, (kept * row[:, None]).sum(0) * values.col.unit, rtol=1e-5)


def test_a_seeded_mask_stays():
    weight = random(6, 21)
    coded = Coded(weight, Hashed(1), OneOfN(8, "seeded", 5))
    places = torch.from_numpy(OneOfN(8, "seeded", 5).seeded_places(0, 6, 21).astype("u1"))
    assert torch.equal(coded.values.places, places)
    coded.assign(weight.flip(1))
    assert torch.equal(coded.values.places, places)
    assert list(coded.encoded(weight).sections) == ["factors"]
