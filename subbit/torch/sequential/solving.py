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
    """Sums over tokens of x̂ x̂ᵀ, (x − x̂) x̂ᵀ and r x̂ᵀ, float32: x the original inputs, x̂ the compressed prefix's, r what
    the residual stream has lost (None where no weight of the stage writes to it)."""

    squares: torch.Tensor
    shift: torch.Tensor
    residual: torch.Tensor | None
    count: int = 0

    @classmethod
    def of(cls, original: torch.Tensor, compressed: torch.Tensor, lost: torch.Tensor | None) -> Products:
        """Of some tokens, (tokens, inputs) each and (tokens, outputs)."""
        residual = None if lost is None else lost.T @ compressed
        shift = (original - compressed).T @ compressed
        return cls(compressed.T @ compressed, shift, residual, len(original))

    def nothing(self) -> Products:
        """Sums of the same shapes over no tokens."""
        residual = None if self.residual is None else torch.zeros_like(self.residual)
        return Products(torch.zeros_like(self.squares), torch.zeros_like(self.shift), residual)

    def add(self, other: Products) -> Products:
        """Count the tokens of another one, too."""
        self.squares += other.squares
        self.shift += other.shift
        if self.residual is not None and other.residual is not None:
            self.residual += other.residual
        self.count += other.count
        return self

    def __add__(self, other: Products) -> Products:
        residual = None if self.residual is None else self.residual.clone()
        return Products(self.squares.clone(), self.shift.clone(), residual, self.count).add(other)

    def moments(self) -> torch.Tensor:
        """E[x̂ x̂ᵀ]."""
        return self.squares / max(self.count, 1)

    def wanted(self, weight: torch.Tensor, writes: bool) -> torch.Tensor:
        """Σ (W (x − x̂) + r) x̂ᵀ."""
        found = weight @ self.shift
        return found + self.residual if writes and self.residual is not None else found

    def loss(self, change: torch.Tensor, wanted: torch.Tensor) -> float:
        """Σ ‖W x + r − (W + change) x̂‖², less what does not depend on the change."""
        return float(((change @ self.squares - 2 * wanted) * change).sum(dtype=torch.float64))


def solve(folds: Sequence[Products], weights: Sequence[torch.Tensor], writes: Sequence[bool]) -> list[torch.Tensor]:
    """The weights to encode in place of `weights`, (outputs, inputs) each, float32, all of one stage.

    argmin over W* of Σ ‖W x + r − W* x̂‖² + ridge · Σ_j E[x̂_j²] ‖w*_j − w_j‖², j over columns; `writes` says which
    weights add what the stream lost. Solved for w* − w. Source: the closed form of sequential layer-wise compression,
    W X X̂ᵀ (X̂ X̂ᵀ)⁻¹, held to W.
    """
    fitted, held_out = folds
    ridge = RIDGES[-1]
    if fitted.count and held_out.count:
        seen, unseen = _wanted(fitted, weights, writes), _wanted(held_out, weights, writes)
        found = [(_changes(fitted, seen, each), each) for each in RIDGES]
        losses = [(sum(map(held_out.loss, changes, unseen)), each) for changes, each in found if changes is not None]
        ridge = min(losses)[1] if losses else ridge
    both = fitted + held_out
    wanted = _wanted(both, weights, writes)
    for each in RIDGES[RIDGES.index(ridge) :]:
        if (changes := _changes(both, wanted, each)) is not None:
            return [weight + change for weight, change in zip(weights, changes, strict=True)]
    return [weight.clone() for weight in weights]


def _wanted(products: Products, weights: Sequence[torch.Tensor], writes: Sequence[bool]) -> list[torch.Tensor]:
    return [products.wanted(weight, add) for weight, add in zip(weights, writes, strict=True)]


def _changes(products: Products, wanted: Sequence[torch.Tensor], ridge: float) -> list[torch.Tensor] | None:
    """None where rounding leaves no positive definite matrix."""
    squares = products.squares.clone()
    squares.diagonal().add_(ridge * squares.diagonal() + _FLOOR * squares.diagonal().mean())
    factor, failed = torch.linalg.cholesky_ex(squares)
    return None if int(failed) else [torch.cholesky_solve(goal.T, factor).T for goal in wanted]
