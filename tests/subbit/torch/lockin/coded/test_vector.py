from __future__ import annotations

import pytest
import torch
from torch import nn

from subbit.codecs import Vector
from subbit.signs import Hashed
from subbit.torch.lockin.coded import Coded
from subbit.torch.templates import template_signs


@pytest.mark.parametrize("cols", [16, 18])
def test_codes_are_the_nearest_entries(cols):
    torch.manual_seed(0)
    weight = torch.randn(5, cols)
    coded = Coded(weight, Hashed(1), Vector(4, 6))
    values = coded.values
    book = values.book.detach().div(values.step).round() * values.step
    targets = weight * template_signs(Hashed(1), weight.shape) / values.scales().detach()[:, None]
    for i, row in enumerate(targets):
        for j, point in enumerate(row.split(4)):
            distances = (book[:, : len(point)] - point).square().sum(1)
            assert distances[values.codes[i, j]] <= distances.min() + 1e-5


def test_gradients_go_straight_through():
    weight = nn.Parameter(torch.randn(3, 8, generator=torch.Generator().manual_seed(0)))
    coded = Coded(weight, Hashed(1), Vector(4, 2))
    slope = torch.randn(3, 8, generator=torch.Generator().manual_seed(1))
    (coded(weight) * slope).sum().backward()
    assert torch.equal(weight.grad, slope)
    values, signs = coded.values, template_signs(Hashed(1), (3, 8))
    entries = (values.book.detach() / values.step).round()[values.codes].flatten(1) * values.step
    expected = (slope * signs * entries).sum(1) * values.scales.unit
    assert torch.allclose(values.scales.halves.grad, expected, rtol=1e-5)
    assert (values.book.grad != 0).any()
