"""An embedding as the linear layer of one-hot tokens that it is."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import nn

from subbit.model.statistics import LayerMoments
from subbit.torch.calibration.lookup import Lookup, both_roles

IDS = torch.tensor([[0, 1, 1, 2], [1, 2, 2, 2]])
TOKENS, FEATURES = 5, 3


@pytest.fixture
def embedding() -> nn.Embedding:
    torch.manual_seed(0)
    return nn.Embedding(TOKENS, FEATURES).requires_grad_(False)


def test_rows_are_frequencies_and_some_are_left_for_what_did_not_occur(embedding: nn.Embedding) -> None:
    found = Lookup(embedding, IDS).moments("e", 8).curvature()
    assert found.shape == (TOKENS, FEATURES)
    assert found.rows.sum() == pytest.approx(1)
    unseen = 1 / 8  # one of eight tokens occurs once
    expected = [unseen / 5 + (1 - unseen) * count / 8 for count in (1, 3, 4, 0, 0)]
    assert found.rows == pytest.approx(expected)
    assert (found.columns == 1).all()


def test_with_gradients_it_predicts_the_loss_that_an_error_adds(embedding: nn.Embedding) -> None:
    """A quadratic loss, whose Fisher is exact: ½ |scale · e|² for a change e of the output."""
    scale = torch.tensor([1.0, 2.0, 0.5])
    generator = torch.Generator().manual_seed(0)
    lookup = Lookup(embedding, IDS)
    with lookup:
        for _ in range(4000):
            noise = torch.randn(*IDS.shape, FEATURES, generator=generator)
            (embedding(IDS) * scale * noise).sum().backward()
    found = lookup.moments("e", 4000 * IDS.numel()).curvature()
    assert found.columns == pytest.approx(0.5 * scale.square().numpy(), rel=0.05)
    error = torch.randn(TOKENS, FEATURES, generator=generator)
    added = 0.5 * float((scale * error[IDS]).square().sum()) / IDS.numel()
    seen = (1 - 1 / 8) * added + 1 / 8 * 0.5 * float((scale * error).square().sum()) / TOKENS
    assert found.error(error.numpy()) == pytest.approx(seen, rel=0.05)


def test_the_module_is_left_as_it_was(embedding: nn.Embedding) -> None:
    with Lookup(embedding, IDS):
        assert embedding(IDS).requires_grad
    assert not embedding(IDS).requires_grad


@pytest.mark.parametrize("full", [False, True])
def test_a_tied_embedding_costs_what_both_roles_cost(full: bool) -> None:
    random = np.random.default_rng(0)
    moments = random.normal(size=(40, 6))
    columns = (moments.T @ moments if full else (moments**2).sum(axis=0)).astype(np.float32)
    rows, read, shares = (random.random(size).astype(np.float32) for size in (30, 6, 30))
    head = LayerMoments((30, 6), "h", lambda: columns[None], lambda: rows[None])
    lookup = LayerMoments((30, 6), "e", lambda: read[None], lambda: shares[None])
    found = both_roles(head, lookup)
    whole = found.curvature()
    diagonal = columns.diagonal() if full else columns
    cost = np.outer(rows, diagonal) + np.outer(shares, read)
    product = np.outer(whole.rows, whole.diagonal)
    assert np.allclose(product.sum(axis=0), cost.sum(axis=0), rtol=1e-4)
    by_row = cost.sum(axis=1)
    assert np.allclose(product.sum(axis=1), (by_row + by_row.mean()) / 2, rtol=1e-4)  # half of it is spread evenly
    assert found.inputs == "e"
