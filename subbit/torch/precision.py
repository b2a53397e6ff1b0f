"""In which type matrices are multiplied: bfloat16 where that is faster than float32."""

from __future__ import annotations

from contextlib import AbstractContextManager
from typing import Any

import torch

__all__ = ["fast_dtype", "precision"]


def fast_dtype(device: torch.device) -> torch.dtype | None:
    """bfloat16 where the device multiplies it faster than float32."""
    if device.type == "cuda":
        return torch.bfloat16 if torch.cuda.is_bf16_supported() else None
    tests = (getattr(torch.cpu, name, None) for name in ("_is_avx512_bf16_supported", "_is_amx_tile_supported"))
    return torch.bfloat16 if any(test is not None and test() for test in tests) else None


def precision(device: torch.device, dtype: torch.dtype | None) -> AbstractContextManager[Any]:
    """Matrix products in `dtype`, the rest in the tensors' own types; None changes nothing."""
    return torch.autocast(device.type, dtype, enabled=dtype is not None)
