"""A codebook as bytes: a mode, a float32 step, then the components entry by entry.

Mode 0: uint8, value = integer · step. Mode 1: float16, step 1. The smaller form is taken unless it
raises the error on the training vectors by more than one percent.
"""

from __future__ import annotations

import numpy as np

from subbit.codecs.magnitudes.kmeans import half_squares, nearest_codes
from subbit.errors import SubbitError

__all__ = ["pack_codebook", "unpack_codebook"]

_HEADER = 5


def pack_codebook(codebook: np.ndarray, points: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """Write float32[d, entries] ≥ 0 as 8 or 16 bits a component, whichever points[n, d] ask for."""
    dim, entries = codebook.shape
    step = codebook.max(initial=0) / np.float32(255)
    levels = np.rint(codebook.T / step) if step > 0 else np.zeros((entries, dim))
    small = _join(0, step, levels.astype(np.uint8))
    large = _join(1, 1, codebook.T.astype("<f2"))
    errors = [_error(unpack_codebook(data, dim, entries), points, weights) for data in (small, large)]
    return small if errors[0] <= 1.01 * errors[1] else large


def unpack_codebook(stored: np.ndarray, dim: int, entries: int) -> np.ndarray:
    """Read back float32[d, entries]; :class:`SubbitError`, kind "section", unless all are finite and ≥ 0."""
    dtype = np.dtype("<f2" if stored.size and stored[0] == 1 else "u1")
    if stored.size != _HEADER + dim * entries * dtype.itemsize or stored[0] > 1:
        raise SubbitError(f"{stored.size} bytes are no codebook of {entries} x {dim}", kind="section")
    step = np.frombuffer(stored[1:_HEADER].tobytes(), "<f4")
    components = np.frombuffer(stored[_HEADER:].tobytes(), dtype).astype(np.float32)
    with np.errstate(over="ignore", invalid="ignore"):
        components *= step
    if components.size and not (components.min() >= 0 and components.max() < np.inf):
        raise SubbitError("a codebook entry is negative or not finite", kind="section")
    return np.ascontiguousarray(components.reshape(entries, dim).T)


def _join(mode: int, step: float | np.float32, components: np.ndarray) -> np.ndarray:
    parts = (np.array([mode], "u1"), np.array([step], "<f4"), np.ascontiguousarray(components).reshape(-1))
    return np.concatenate([part.view(np.uint8) for part in parts])


def _error(codebook: np.ndarray, points: np.ndarray, weights: np.ndarray) -> float:
    """Weighted squared error of the points at their nearest entries, summed in order."""
    _, scores = nearest_codes(points, codebook)
    errors = 2.0 * weights * (scores + half_squares(points.T))
    return float(np.cumsum(errors)[-1]) if errors.size else 0.0
