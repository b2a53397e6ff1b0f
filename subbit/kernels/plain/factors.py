"""Binary factors: their unknowns one after the other by least squares, their latent scales, and their product."""

from __future__ import annotations

import numpy as np

__all__ = ["compose", "relax", "settle"]


def settle(
    codes: np.ndarray, scales: np.ndarray, pull: np.ndarray, gram: np.ndarray, latents: np.ndarray,
    largest: int, heat: float,
) -> None:  # fmt: skip
    """Improve rows of codes float64 (rows, r), whole numbers in ±largest, and their scales float64[rows], in place.

    A row with x_k = code_k / largest · latent_k and scale a costs a² xᵀ gram x − 2 a x · pull. Each row takes its best
    scale; then each code in order its best value divided by `heat`, cut at ±largest and rounded, for heat 0 its sign
    alone; then the best scale again. Scales that would not be positive stay. All float64, in this order.
    """
    unit = 1.0 / largest
    held = codes * unit * latents
    slope = np.zeros(codes.shape)
    for k in range(latents.size):
        slope += held[:, k, None] * gram[k]
    _best_scales(held, scales, pull, slope)
    for k in range(latents.size):
        stiff = scales * latents[k] * gram[k, k]
        wanted = (pull[:, k] - scales * slope[:, k]) + stiff * (codes[:, k] * unit)
        free = stiff > 0
        if heat > 0:
            best = np.divide(wanted, stiff * heat, out=np.zeros_like(wanted), where=free)
            best = np.rint(np.clip(best, -1.0, 1.0) * largest)
        else:
            best = np.where(wanted >= 0, float(largest), -float(largest))
        best = np.where(free, best, codes[:, k])
        slope += ((best - codes[:, k]) * unit * latents[k])[:, None] * gram[k]
        codes[:, k] = best
    _best_scales(codes * unit * latents, scales, pull, slope)


def _best_scales(held: np.ndarray, scales: np.ndarray, pull: np.ndarray, slope: np.ndarray) -> None:
    top, bottom = np.zeros(len(held)), np.zeros(len(held))
    for k in range(held.shape[1]):
        top += held[:, k] * pull[:, k]
        bottom += held[:, k] * slope[:, k]
    np.divide(top, bottom, out=scales, where=(top > 0) & (bottom > 0))


def relax(gram: np.ndarray, target: np.ndarray, latents: np.ndarray, sweeps: int) -> None:
    """Gauss-Seidel sweeps towards gram · latents = target, in place; all float64, unknowns in order."""
    rest = target.copy()
    for k in range(latents.size):
        rest -= latents[k] * gram[k]
    for _ in range(sweeps):
        for k in range(latents.size):
            if gram[k, k] > 0:
                step = rest[k] / gram[k, k]
                latents[k] += step
                rest -= step * gram[k]


def compose(row_signs: np.ndarray, col_signs: np.ndarray, latents: np.ndarray, out: np.ndarray) -> None:
    """out float32[rows, cols] = Σ_k ± latents_k, a minus where the signs uint8 (r, rows) and (r, cols) differ.

    Latents are whole float32 numbers of a sum ≤ 2^24: every order of summation gives the same, exact result.
    """
    plus = np.float32(1) - np.float32(2) * row_signs.T.astype(np.float32)
    np.matmul(plus * latents, np.float32(1) - np.float32(2) * col_signs.astype(np.float32), out=out)
