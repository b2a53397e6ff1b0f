"""Hostile tensors by both kinds of kernels: what one refuses the other refuses in the same words; the rest is equal."""

from __future__ import annotations

import os
from collections.abc import Iterator
from unittest.mock import patch

import numpy as np

from benchmarks.trust.hostile import hostile
from subbit.errors import SubbitError
from subbit.tensors import decode

__all__ = ["differing", "outcome"]


def differing(count: int) -> Iterator[str]:
    """The hostile tensors, of so many, of which compiled and NumPy kernels make something else."""
    for number in range(count):
        compiled, plain = (outcome(number, kernels) for kernels in ("compiled", "plain"))
        if compiled != plain:
            yield f"hostile {number}, {hostile(number)[0].name}: {compiled!r:.80} and {plain!r:.80}"


def outcome(number: int, kernels: str) -> bytes | str:
    """The weights of a hostile tensor, or why it is refused."""
    good, encoded = hostile(number)
    with patch.dict(os.environ, SUBBIT_KERNELS=kernels), np.errstate(over="ignore"):
        try:
            return decode(encoded, None, good.parent).tobytes()
        except SubbitError as error:
            return f"{error.kind}: {error}"
