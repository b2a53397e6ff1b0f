"""How fast packed products are here, in products with the same matrix decoded to bfloat16."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial

import torch

from subbit.codecs.blocks import thread_count
from subbit.errors import UsageError
from subbit.model import Tensor
from subbit.model.timing import ratios
from subbit.records import matrix_shape
from subbit.torch.packed import SubbitLinear

__all__ = ["time_products"]


def time_products(tensor: Tensor, batches: Sequence[int], turns: int, dtype: str = "bfloat16") -> dict[str, float]:
    """By rows of x: how many times as fast as torch's dense layer; nothing for codecs that cannot stay packed."""
    try:
        layer = SubbitLinear(tensor.packed())
    except UsageError:
        return {}
    before = torch.get_num_threads()
    torch.set_num_threads(thread_count())
    try:
        dense = (
            torch.from_numpy(tensor.decode(dtype="float32"))
            .reshape(matrix_shape(tensor.shape))
            .to(getattr(torch, dtype))
        )
        found = {}
        with torch.no_grad():
            for batch in batches:
                x = torch.randn(batch, dense.shape[1], generator=torch.Generator().manual_seed(batch)).to(dense.dtype)
                theirs = partial(torch.nn.functional.linear, x, dense)
                found[str(batch)] = ratios(partial(layer, x), theirs, turns)
    finally:
        torch.set_num_threads(before)
    return found
