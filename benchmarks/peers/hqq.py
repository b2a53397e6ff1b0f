"""hqq's half-quadratic quantizer: `pip install --no-deps hqq termcolor` beside a CPU torch.

Counted are the packed bits and a float16 scale and zero a group; what its own files add is left out.
"""

from __future__ import annotations

from importlib.metadata import PackageNotFoundError
from importlib.metadata import version as installed_version

import numpy as np

from benchmarks.peers.base import Stored, UnavailableError

__all__ = ["encode", "version"]


def version() -> str:
    """Name and version; raises UnavailableError where it is not installed."""
    try:
        return f"hqq {installed_version('hqq')}"
    except PackageNotFoundError:
        raise UnavailableError("hqq is not installed") from None


def encode(weight: np.ndarray, group: int, bits: int = 1) -> Stored:
    """Quantize in groups along the rows, with the package's own optimizer; raises where they do not come out even."""
    if weight.size % group:
        raise UnavailableError(f"refuses: {weight.size} weights are no multiple of {group}")
    version()
    import torch
    from hqq.core.quantize import Quantizer  # type: ignore[import-untyped]

    codes, meta = Quantizer.quantize(
        torch.from_numpy(weight), nbits=bits, group_size=group, axis=1, device="cpu", compute_dtype=torch.float16
    )
    codes, meta = Quantizer.to_inplace(codes, {**meta, "compute_dtype": torch.float16}, "cpu")
    size = sum(part.numel() * part.element_size() for part in (codes, meta["scale"], meta["zero"]))
    return Stored(size, lambda: np.asarray(Quantizer.dequantize(codes, meta).float().numpy()))
