"""Numba form of the counter hash; see `plain.counter_hash` for the definition."""

from __future__ import annotations

import numpy as np

from subbit.kernels.compiled.jit import jit

__all__ = ["fill", "words"]

_GOLDEN = np.uint64(0x9E3779B97F4A7C15)


@jit
def mix(x):  # type: ignore[no-untyped-def]
    x = (x ^ (x >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    x = (x ^ (x >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return x ^ (x >> np.uint64(31))


@jit
def _fill(key, start, out):  # type: ignore[no-untyped-def]
    for i in range(out.shape[0]):
        first = start + np.uint64(i * out.shape[1] + 1)
        for j in range(out.shape[1]):
            out[i, j] = mix(key + _GOLDEN * (first + np.uint64(j)))


@jit
def _key(base):  # type: ignore[no-untyped-def]
    return mix(base)


def words(seed: int, stream: int, start: int, count: int) -> np.ndarray:
    out = np.empty(count, np.uint64)
    fill(seed, stream, start, out[None])
    return out


def fill(seed: int, stream: int, start: int, out: np.ndarray) -> None:
    base = np.uint64((seed + 0x9E3779B97F4A7C15 * (stream + 1)) & 0xFFFFFFFFFFFFFFFF)
    _fill(np.uint64(_key(base)), np.uint64(start), out)
