"""Numba form of the binary factors; see `plain.factors` for the definitions."""

from __future__ import annotations

import numpy as np

from subbit.kernels.compiled.jit import jit

__all__ = ["compose", "relax", "settle"]

_TILE = 256


@jit
def _best_scale(held, scale, pull, slope):  # type: ignore[no-untyped-def]
    top = 0.0
    bottom = 0.0
    for k in range(held.size):
        top += held[k] * pull[k]
        bottom += held[k] * slope[k]
    return top / bottom if top > 0 and bottom > 0 else scale


@jit
def settle(codes, scales, pull, gram, latents, largest, heat):  # type: ignore[no-untyped-def]
    rank = latents.size
    unit = 1.0 / largest
    held = np.empty(rank)
    slope = np.empty(rank)
    for i in range(codes.shape[0]):
        slope[:] = 0.0
        for k in range(rank):
            held[k] = codes[i, k] * unit * latents[k]
            if held[k] != 0.0:
                for m in range(rank):
                    slope[m] += held[k] * gram[k, m]
        scale = _best_scale(held, scales[i], pull[i], slope)
        for k in range(rank):
            stiff = scale * latents[k] * gram[k, k]
            if not stiff > 0:
                continue
            wanted = (pull[i, k] - scale * slope[k]) + stiff * (codes[i, k] * unit)
            if heat > 0:
                best = np.rint(min(max(wanted / (stiff * heat), -1.0), 1.0) * largest)
            else:
                best = float(largest) if wanted >= 0 else -float(largest)
            if best != codes[i, k]:
                change = (best - codes[i, k]) * unit * latents[k]
                for m in range(rank):
                    slope[m] += change * gram[k, m]
                codes[i, k] = best
                held[k] = best * unit * latents[k]
        scales[i] = _best_scale(held, scale, pull[i], slope)


@jit
def relax(gram, target, latents, sweeps):  # type: ignore[no-untyped-def]
    rest = target.copy()
    for k in range(latents.size):
        for m in range(rest.size):
            rest[m] -= latents[k] * gram[k, m]
    for _ in range(sweeps):
        for k in range(latents.size):
            if gram[k, k] > 0:
                step = rest[k] / gram[k, k]
                latents[k] += step
                for m in range(rest.size):
                    rest[m] -= step * gram[k, m]


@jit
def compose(row_signs, col_signs, latents, out):  # type: ignore[no-untyped-def]
    """Four latents at a time: their 16 signed sums for a tile of columns, and then one addition a weight."""
    rows, cols = out.shape
    sums = np.empty((16, _TILE), np.float32)
    out[:] = np.float32(0)
    for left in range(0, cols, _TILE):
        width = min(_TILE, cols - left)
        for first in range(0, latents.size, 4):
            count = min(4, latents.size - first)
            _signed_sums(col_signs, latents, first, count, left, width, sums)
            for i in range(rows):
                code = 0
                for t in range(count):
                    code |= int(row_signs[first + t, i]) << t
                for j in range(width):
                    out[i, left + j] += sums[code, j]


@jit
def _signed_sums(col_signs, latents, first, count, left, width, sums):  # type: ignore[no-untyped-def]
    sums[0, :width] = np.float32(0)
    for t in range(count):
        for j in range(width):
            negative = col_signs[first + t, left + j]
            sums[0, j] += -latents[first + t] if negative else latents[first + t]
    for code in range(1, 1 << count):
        t = 0
        while not (code >> t) & 1:
            t += 1
        twice = latents[first + t] + latents[first + t]
        for j in range(width):
            sums[code, j] = sums[code & (code - 1), j] + (twice if col_signs[first + t, left + j] else -twice)
