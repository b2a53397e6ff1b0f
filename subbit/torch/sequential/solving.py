"""The weights that come nearest to the original outputs from the inputs that a compressed prefix gives."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch

__all__ = ["RIDGES", "Products", "solve"]

RIDGES = (0.03, 0.2, 1.0, 5.0)
"""Of an input's second moment: how strongly its column is held to the original weights. The one that serves half of
the tokens best when fitted to the other half is taken."""
_FLOOR = 1e-9


@dataclass
class Products:
    """Sums over tokens of x̂ x̂ᵀ, x x̂ᵀ and r x̂ᵀ, float32: x the original inputs, x̂ those of the compressed prefix, r
    what the residual stream has lost (None where no weight of the stage writes to it)."""

    compressed: torch.Tensor
    crossed: torch.Tensor
    residual: torch.Tensor | None
    count: int = 0

    @classmethod
    def zeros(cls, inputs: int, outputs: int | None) -> Products:
        """Nothing seen; `outputs` of the residual stream, None without."""
        residual = None if outputs is None else torch.zeros(outputs, inputs)
        return cls(torch.zeros(inputs, inputs), torch.zeros(inputs, inputs), residual)

    def add(self, original: torch.Tensor, compressed: torch.Tensor, lost: torch.Tensor | None) -> None:
        """Count some tokens: (tokens, inputs) each, and (tokens, outputs)."""
        self.compressed += compressed.T @ compressed
        self.crossed += original.T @ compressed
        if self.residual is not None and lost is not None:
            self.residual += lost.T @ compressed
        self.count += len(original)

    def __add__(self, other: Products) -> Products:
        residual = None
        if self.residual is not None and other.residual is not None:
            residual = self.residual + other.residual
        both = self.compressed + other.compressed, self.crossed + other.crossed
        return Products(*both, residual, self.count + other.count)

    def moments(self) -> torch.Tensor:
        """E[x̂ x̂ᵀ]."""
        return self.compressed / max(self.count, 1)

    def wanted(self, weight: torch.Tensor, writes: bool) -> torch.Tensor:
        """Σ (W x + r) x̂ᵀ."""
        found = weight @ self.crossed
        return found + self.residual if writes and self.residual is not None else found

    def loss(self, target: torch.Tensor, wanted: torch.Tensor) -> float:
        """Σ ‖W x + r − W* x̂‖², less what does not depend on W*."""
        return float(((target @ self.compressed - 2 * wanted) * target).sum(dtype=torch.float64))


def solve(folds: Sequence[Products], weights: Sequence[torch.Tensor], writes: Sequence[bool]) -> list[torch.Tensor]:
    """The weights to encode in place of `weights`, (outputs, inputs) each, float32, all of one stage.

    argmin over W* of Σ ‖W x + r − W* x̂‖² + ridge · Σ_j E[x̂_j²] ‖w*_j − w_j‖², j over columns; `writes` says which
    weights add what the stream lost. Source: the closed form of sequential layer-wise compression, W X X̂ᵀ (X̂ X̂ᵀ)⁻¹,
    held to W.
    """
    fitted, held_out = folds
    ridge = RIDGES[-1]
    if fitted.count and held_out.count:
        seen, unseen = _wanted(fitted, weights, writes), _wanted(held_out, weights, writes)
        losses = [sum(map(held_out.loss, _targets(fitted, weights, seen, each), unseen)) for each in RIDGES]
        ridge = RIDGES[losses.index(min(losses))]
    both = fitted + held_out
    return _targets(both, weights, _wanted(both, weights, writes), ridge)


def _wanted(products: Products, weights: Sequence[torch.Tensor], writes: Sequence[bool]) -> list[torch.Tensor]:
    return [products.wanted(weight, add) for weight, add in zip(weights, writes, strict=True)]


def _targets(
    products: Products, weights: Sequence[torch.Tensor], wanted: Sequence[torch.Tensor], ridge: float
) -> list[torch.Tensor]:
    squares = products.compressed.clone()
    held = ridge * squares.diagonal() + _FLOOR * squares.diagonal().mean()
    squares.diagonal().add_(held)
    factor = torch.linalg.cholesky(squares)
    return [
        torch.cholesky_solve((goal + weight * held).T, factor).T for weight, goal in zip(weights, wanted, strict=True)
    ]
