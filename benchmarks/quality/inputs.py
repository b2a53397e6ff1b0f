"""What linear layers read: mean squares of every input column, llama.cpp's importance matrix."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

__all__ = ["mean_squares"]


def mean_squares(model: nn.Module, batches: Sequence[Any]) -> dict[str, np.ndarray]:
    """{name of a Linear's weight: (cols,)} over all positions of the batches that the model is called with."""
    sums: dict[str, Tensor] = {}
    counts: dict[str, int] = {}

    def watch(name: str) -> Any:
        def hook(module: nn.Module, given: tuple[Tensor, ...]) -> None:
            rows = given[0].flatten(0, -2).double()
            sums[name] = sums.get(name, 0) + rows.square().sum(0)
            counts[name] = counts.get(name, 0) + len(rows)

        return hook

    linears = [(name, module) for name, module in model.named_modules() if isinstance(module, nn.Linear)]
    handles = [module.register_forward_pre_hook(watch(f"{name}.weight")) for name, module in linears]
    try:
        with torch.inference_mode():
            for batch in batches:
                model(**batch) if isinstance(batch, dict) else model(batch)
    finally:
        for handle in handles:
            handle.remove()
    return {name: (total / counts[name]).float().numpy() for name, total in sums.items()}
