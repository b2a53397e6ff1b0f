"""Which weights write to the residual stream: those whose outputs add up to what the block adds to it."""

from __future__ import annotations

from collections.abc import Mapping
from itertools import combinations

import torch

__all__ = ["writers"]

_TOLERANCE = 1e-3
_CANDIDATES = 8


def writers(before: torch.Tensor, after: torch.Tensor, outputs: Mapping[str, torch.Tensor]) -> list[str]:
    """The names, in the order of `outputs`, whose outputs sum to after − before; empty where no set does.

    Found by trial on one batch, so that no architecture needs to be known: pre-norm transformers pass, post-norm ones
    and mixtures of experts do not.
    """
    added = after - before
    same = [name for name, output in outputs.items() if output.shape == added.shape][:_CANDIDATES]
    scale = float(added.square().mean())
    for size in range(1, len(same) + 1):
        for chosen in combinations(same, size):
            rest = added - sum(outputs[name] for name in chosen)
            if float(rest.square().mean()) <= _TOLERANCE**2 * scale:
                return list(chosen)
    return []
