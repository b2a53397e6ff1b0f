"""The best walk along a bitshift trellis for given weights (Viterbi); `plain.trellis` says what a walk is."""

from __future__ import annotations

import numpy as np

from subbit.kernels.plain.trellis import steps

__all__ = ["encode"]

FAR = np.float32(1e30)


def encode(
    targets: np.ndarray,
    scales: np.ndarray,
    rates: np.ndarray,
    table: np.ndarray,
    decisions: np.ndarray,
    packed: np.ndarray,
) -> None:
    """Add to packed uint8 (zeros) the bits that make Σ (target − scale · value)² smallest, over all walks.

    `decisions` uint8[window, 2**state_bits / 2] is scratch: whenever it is full the best walk so far is
    traced back and its older half is settled. Costs are float32; the first of equal states and predecessors wins.
    """
    cost = np.full(table.shape[1], FAR)
    cost[0] = 0
    bits, phases = steps(rates)
    widths: list[int] = []
    settled = 0
    for t in np.flatnonzero(rates):
        b = int(bits[t])
        if b:
            if len(widths) == len(decisions):
                keep = len(widths) // 2
                settled = _settle(cost, decisions, widths, keep, packed, settled)
                decisions[: len(widths) - keep] = decisions[keep : len(widths)].copy()
                del widths[:keep]
            candidates = cost.reshape(-1, 1 << b)
            best = candidates.argmin(axis=1)
            decisions[len(widths), : len(best)] = best
            widths.append(b)
            cost = np.tile(candidates[np.arange(len(best)), best], 1 << b)
        gap = targets[t] - scales[t] * table[phases[t]]
        cost = cost + gap * gap
        if t & 63 == 63:
            cost = cost - cost[0]
    _settle(cost, decisions, widths, len(widths), packed, settled)


def _settle(
    cost: np.ndarray, decisions: np.ndarray, widths: list[int], keep: int, packed: np.ndarray, settled: int
) -> int:
    """Trace back from the best state, write the bits of the first `keep` steps behind `settled` bits."""
    top = len(cost).bit_length() - 1
    state = int(cost.argmin())
    symbols = []
    for step in range(len(widths) - 1, -1, -1):
        b = widths[step]
        symbols.append(state >> (top - b))
        low = state & ((1 << (top - b)) - 1)
        state = low << b | int(decisions[step, low])
    for b, symbol in zip(widths[:keep], symbols[::-1], strict=False):
        for place in range(b):
            at = settled + place
            packed[at >> 3] |= (symbol >> place & 1) << (at & 7)
        settled += b
    return settled
