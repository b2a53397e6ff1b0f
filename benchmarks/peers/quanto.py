"""optimum-quanto's qint2, its lowest: `pip install --no-deps optimum-quanto` beside torch.

Counted are the packed codes and a float16 scale and shift a group; what its own files add is left out.
"""

from __future__ import annotations

from importlib.metadata import PackageNotFoundError
from importlib.metadata import version as installed_version

import numpy as np

from benchmarks.peers.base import Stored, UnavailableError

__all__ = ["encode", "group_size", "version"]


def version() -> str:
    """Name and version; raises UnavailableError where it is not installed."""
    try:
        return f"optimum-quanto {installed_version('optimum-quanto')}"
    except PackageNotFoundError:
        raise UnavailableError("optimum-quanto is not installed") from None


def group_size(cols: int) -> int | None:
    """As its modules choose: 128, 96, 64 or 32 columns, whichever divides a row first; else the whole row."""
    if cols <= 128:
        return None
    return next((size for size in (128, 96, 64, 32) if cols % size == 0), None)


def encode(weight: np.ndarray) -> Stored:
    """Quantize (rows, cols) with the package's own optimizer."""
    version()
    import torch
    from optimum.quanto import MaxOptimizer, qint2  # type: ignore[import-untyped]
    from optimum.quanto.tensor.grouped import ungroup  # type: ignore[import-untyped]

    given, group = torch.from_numpy(weight).half(), group_size(weight.shape[1])
    scale, shift = MaxOptimizer()(given, qint2, axis=0, group_size=group, zeropoint=False)
    # The package's packed tensors compile an extension to be read; these are the codes that they pack.
    codes = torch.ops.quanto.quantize_affine(given, bits=2, axis=0, group_size=group, scale=scale, shift=shift)
    size = -(-codes.numel() // 4) + 2 * scale.numel() + 2 * shift.numel()
    rebuilt = ungroup(scale * codes - shift, axis=0, orig_shape=given.shape).float()
    return Stored(size, rebuilt.numpy)
