"""The best walk along a bitshift trellis for given weights (Viterbi); `plain.trellis` says what a walk is."""

from __future__ import annotations

import numpy as np

from subbit.kernels.plain.trellis import steps

__all__ = ["encode"]

FAR = np.float32(1e30)


def encode(
    targets: np.ndarray, scales: np.ndarray, rates: np.ndarray, table: np.ndarray, window: int, packed: np.ndarray
) -> None:
    """Add to packed uint8 (zeros) the bits that make Σ (target − scale · value)² smallest, over all walks.

    Whenever `window` bits, a multiple of 32, are undecided, the best walk so far is traced back and the oldest three
    quarters of it are settled. Costs are float32; the first of equal states and predecessors wins.
    """
    cost = np.full(table.shape[1], FAR)
    cost[0] = 0
    bits, phases = steps(rates)
    taken: list[np.ndarray] = []
    settled = 0
    for t in np.flatnonzero(rates):
        for _ in range(int(bits[t])):
            if len(taken) == window:
                keep = window // 4 * 3
                _settle(cost, taken, keep, packed, settled)
                settled += keep
                del taken[:keep]
            even, odd = cost[::2], cost[1::2]
            taken.append(odd < even)
            cost = np.tile(np.minimum(even, odd), 2)
        gap = targets[t] - scales[t] * table[phases[t]]
        cost = cost + gap * gap
        if t & 63 == 63:
            cost = cost - cost[0]
    _settle(cost, taken, len(taken), packed, settled)


def _settle(cost: np.ndarray, taken: list[np.ndarray], keep: int, packed: np.ndarray, settled: int) -> None:
    """Trace back from the best state, write the bits of the first `keep` steps behind `settled` bits."""
    top = len(cost).bit_length() - 1
    state = int(cost.argmin())
    for step in range(len(taken) - 1, -1, -1):
        if step < keep:
            at = settled + step
            packed[at >> 3] |= state >> (top - 1) << (at & 7)
        low = state & ((1 << (top - 1)) - 1)
        state = low << 1 | int(taken[step][low])
