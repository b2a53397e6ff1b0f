"""One weight whose signs are held to a template."""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch

from subbit.signs import SignPlane
from subbit.torch.lockin.barrier import log_barrier
from subbit.torch.lockin.packed import pack_bits, unpack_bits
from subbit.torch.templates import template_signs

__all__ = ["Locked"]

_SAMPLE = 1 << 16
_MEMORY = 0.9
"""How much of the mean square of the gradient is kept from one step to the next."""


@dataclass
class Locked:
    """A parameter, its template in one bit a weight, its gap a, and the mean square of its gradient.

    The parameter is looked up by owner and leaf each time, because loading a checkpoint may replace the object.
    """

    name: str
    owner: torch.nn.Module
    leaf: str
    plane: SignPlane
    threshold: float
    bits: torch.Tensor
    mean_square: float = 0.0

    @property
    def weight(self) -> torch.Tensor:
        """The parameter itself; with a correction, the part that carries the template's signs."""
        weight: torch.Tensor = getattr(self.owner, self.leaf)
        return weight

    def negative(self) -> torch.Tensor:
        """Where the template is negative: bool in the weight's shape."""
        self.bits = self.bits.to(self.weight.device)
        return unpack_bits(self.bits, self.weight.shape)

    @torch.no_grad()
    def flips(self) -> int:
        """Weights whose sign is not the template's; zeros have no sign."""
        weight = self.weight
        return int(((weight.signbit() ^ self.negative()) & (weight != 0)).sum())

    @torch.no_grad()
    def project(self) -> None:
        """W ← T · max(T · W, 0), in place; zeros take the template's sign bit too."""
        negative = self.negative()
        flipped = self.weight.signbit() ^ negative
        self.weight.masked_fill_(flipped, 0.0)
        self.weight.masked_fill_(flipped & negative, -0.0)

    def penalty(self, force: float) -> torch.Tensor | None:
        """The barrier's loss at this force ratio, λ R = f · (a / 2) · rms · Σ log max(1, a / (|W| + ε)).

        None until a gradient has been measured.
        """
        strength = force * self.threshold / 2 * math.sqrt(self.mean_square)
        return strength * log_barrier(self.weight, self.threshold) if strength else None

    @torch.no_grad()
    def reading(self) -> torch.Tensor:
        """(max |W|, Σ g² and count of a sample outside the gap), where the barrier adds nothing to the gradient."""
        weight, gradient = self.weight, self.weight.grad
        largest = torch.linalg.vector_norm(weight, math.inf).float()
        if gradient is None:
            return torch.stack([largest, largest * 0, largest * 0])
        outside = _sample(weight).abs() >= self.threshold
        squares = _sample(gradient).float().square() * outside
        return torch.stack([largest, squares.sum(), outside.sum()])

    def observe(self, squares: float, count: float) -> None:
        """Take in a measured gradient; none, or one that overflowed (a skipped fp16 step), changes nothing."""
        if count and squares and math.isfinite(squares):
            kept = _MEMORY if self.mean_square else 0.0
            self.mean_square = kept * self.mean_square + (1 - kept) * squares / count


def locked(
    name: str, owner: torch.nn.Module, leaf: str, plane: SignPlane, threshold: float, magnitudes: torch.Tensor
) -> Locked:
    """Give a parameter these magnitudes and the plane's signs, in place."""
    weight: torch.Tensor = getattr(owner, leaf)
    signs = template_signs(plane, tuple(weight.shape), device=weight.device)
    with torch.no_grad():
        weight.copy_(magnitudes * signs)
    return Locked(name, owner, leaf, plane, threshold, pack_bits(signs < 0))


def _sample(tensor: torch.Tensor) -> torch.Tensor:
    """Evenly spaced items, at most about 2^16; the odd stride walks through all rows and columns."""
    flat = (tensor.to_dense() if tensor.is_sparse else tensor).reshape(-1)
    return flat[:: max(1, flat.numel() // _SAMPLE) | 1]
