"""Weights for changed inputs: they undo what can be undone, and stay where nothing is known."""

from __future__ import annotations

import torch

from subbit.torch.sequential.solving import Products, solve


def products(original: torch.Tensor, changed: torch.Tensor, lost: torch.Tensor | None = None) -> list[Products]:
    half = len(original) // 2
    parts = slice(0, half), slice(half, None)
    return [Products.of(original[p], changed[p], None if lost is None else lost[p]) for p in parts]


def test_a_linear_change_of_the_inputs_is_undone() -> None:
    torch.manual_seed(0)
    x, change, weight = torch.randn(4000, 12), torch.eye(12) + 0.2 * torch.randn(12, 12), torch.randn(5, 12)
    seen = x @ change.T
    (found,) = solve(products(x, seen), [weight], [False])
    before, after = ((seen @ w.T - x @ weight.T).square().mean() for w in (weight, found))
    assert after < 0.02 * before


def test_what_the_stream_lost_is_added_by_those_that_write_to_it() -> None:
    torch.manual_seed(0)
    x, weights = torch.randn(4000, 8), [torch.randn(6, 8), torch.randn(6, 8)]
    missing = torch.randn(6, 8)
    writes, reads = solve(products(x, x, x @ missing.T), weights, [True, False])
    assert torch.allclose(writes, weights[0] + missing / 1.03, atol=0.02)  # held by the lightest ridge
    assert torch.equal(reads, weights[1])


def test_noise_is_not_fitted() -> None:
    torch.manual_seed(0)
    x, weight = torch.randn(40, 24), torch.randn(5, 24)
    (found,) = solve(products(x, x + torch.randn(40, 24)), [weight], [False])
    assert (found - weight).norm() < 0.5 * weight.norm()


def test_one_batch_is_enough_to_go_on_with() -> None:
    torch.manual_seed(0)
    x, weight = torch.randn(10, 16), torch.randn(5, 16)
    one = Products.of(x, x, None)
    (found,) = solve((one, one.nothing()), [weight], [False])
    assert torch.allclose(found, weight)
