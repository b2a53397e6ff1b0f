"""Numba form of the excursions; see `plain.crossings` for the definition."""

from __future__ import annotations

import numpy as np

from subbit.kernels.compiled.jit import jit

__all__ = ["advance"]


def advance(values: np.ndarray, states: np.ndarray, outer: np.float32, inner: np.float32) -> int:
    return int(_advance(values, states, outer, inner))


@jit
def _advance(values, states, outer, inner):  # type: ignore[no-untyped-def]
    missed = 0
    for i in range(values.size):
        state = np.int64(states[i])
        stage, size = state & 6, abs(values[i])
        if stage == 0 or stage == 4:
            if size >= outer:
                negative = np.int64(np.signbit(values[i]))
                count = state >> 3
                if stage == 4 and negative != state & 1 and count < 31:
                    count += 1
                states[i] = np.uint8((count << 3) | (stage + 2) | negative)
        elif size <= inner:
            states[i] = np.uint8((state & ~6) | 4)
        elif np.int64(np.signbit(values[i])) != state & 1:
            missed += 1
    return missed
