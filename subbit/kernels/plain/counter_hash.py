"""The one source of random words: SplitMix64's finalizer over a seed, a stream and a counter.

`word(seed, stream, k) = mix(mix(seed + G·(stream + 1)) + G·(k + 1))` in wrapping 64-bit arithmetic with
G = 0x9E3779B97F4A7C15. Any word can be had without those before it, on any machine, for ever.
Source: Steele, Lea, Flood, "Fast splittable pseudorandom number generators" (2014), Stafford's mix 13.
"""

from __future__ import annotations

import numpy as np

__all__ = ["fill", "words"]

_GOLDEN = np.uint64(0x9E3779B97F4A7C15)


def words(seed: int, stream: int, start: int, count: int) -> np.ndarray:
    """The `count` uint64 words of (seed, stream) from counter `start` on."""
    key = _mix(np.array([(seed + 0x9E3779B97F4A7C15 * (stream + 1)) & 0xFFFFFFFFFFFFFFFF], np.uint64))
    counters = np.arange(start + 1, start + count + 1, dtype=np.uint64)
    out: np.ndarray = _mix(key + _GOLDEN * counters)
    return out


def fill(seed: int, stream: int, start: int, out: np.ndarray) -> None:
    """The same words into uint64[rows, columns], row after row."""
    out[:] = words(seed, stream, start, out.size).reshape(out.shape)


def _mix(x: np.ndarray) -> np.ndarray:
    x = (x ^ (x >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    x = (x ^ (x >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    out: np.ndarray = x ^ (x >> np.uint64(31))
    return out
