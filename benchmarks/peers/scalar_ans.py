"""The bar: a dead-zone scalar quantizer with one scale a row and an order-0 ANS coder, in about 20 lines."""

from __future__ import annotations

from importlib.metadata import version as installed_version
from importlib.util import find_spec

import numpy as np

from benchmarks.peers.base import Stored, UnavailableError

__all__ = ["encode", "version"]

THRESHOLD = np.float32(0.6)
"""Where in a step a weight goes up to the next level; .5 would be plain rounding."""


def version() -> str:
    """Name and version; raises UnavailableError where the coder is not installed."""
    if find_spec("constriction") is None:
        raise UnavailableError("constriction is not installed")
    return f"constriction {installed_version('constriction')}"


def encode(weight: np.ndarray, bits: float) -> Stored:
    """Bisect the step until the bytes fit `bits` a weight; levels are the means of their cells."""
    version()
    from constriction import stream  # type: ignore[import-untyped]

    scales = np.sqrt(np.mean(weight**2, axis=1, keepdims=True)).astype(np.float16)
    scaled = weight / scales.astype(np.float32)
    low, high = 0.05, 20.0
    for _ in range(14):
        step = (low * high) ** 0.5
        levels = np.trunc(scaled / np.float32(step) + np.copysign(1 - THRESHOLD, scaled)).astype(np.int32)
        symbols = (levels - levels.min()).ravel()
        counts = np.bincount(symbols)
        shares = counts[counts > 0] / symbols.size
        needed = -np.sum(shares * np.log2(shares)) * symbols.size + 16 * scales.size + 64 * counts.size
        low, high = (low, step) if needed < bits * weight.size else (step, high)
    means = (np.bincount(symbols, scaled.ravel()) / np.maximum(counts, 1)).astype(np.float32)
    model = stream.model.Categorical((counts / symbols.size).astype(np.float32), perfect=False)
    coder = stream.stack.AnsCoder()
    coder.encode_reverse(symbols.astype(np.int32), model)
    words = coder.get_compressed()
    size = words.nbytes + scales.nbytes + means.nbytes + 4 * counts.size

    def decode() -> np.ndarray:
        symbols = stream.stack.AnsCoder(words).decode(model, weight.size).reshape(weight.shape)
        return np.asarray(means[symbols] * scales.astype(np.float32))

    return Stored(size, decode)
