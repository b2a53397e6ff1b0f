"""What a budget in bits a weight leaves the covered tensors: theirs alone, or a whole file's less what is fixed."""

from __future__ import annotations

import math
from dataclasses import dataclass

from subbit.errors import UsageError

__all__ = ["Budget", "check_bits"]


def check_bits(bits: float) -> None:
    """Raise :class:`UsageError` for a number that is no budget."""
    if not (bits > 0 and math.isfinite(bits)):
        raise UsageError(f"a budget of {bits} bits a weight", kind="budget", hint="any number above 0, such as 0.8")


@dataclass(frozen=True)
class Budget:
    """`bits` a weight for so many `weights`, of which `fixed` bits are spent whatever the plan says."""

    bits: float
    weights: int
    fixed: float = 0.0

    @property
    def left(self) -> float:
        """Bits that the covered tensors may take together; negative where the rest takes more than there is."""
        return self.bits * self.weights - self.fixed

    def refused(self, least: float) -> UsageError:
        """The error (kind "budget") for covered tensors that take at least so many bits: names the budget they need."""
        rounded = math.ceil((self.fixed + least) / self.weights * 1000) / 1000
        out = "fewer --keep leave it more" if self.fixed else "--keep takes tensors out of the budget"
        hint = f"the smallest that can is {rounded:.3f}; {out}"
        return UsageError(f"a budget of {self.bits:g} bits a weight cannot be met", kind="budget", hint=hint)
