"""Matrix products that are the same bits on every machine, at the speed of BLAS: sums of whole numbers below 2^53."""

from __future__ import annotations

import numpy as np

__all__ = ["LARGEST", "exact_product"]

LARGEST = 64
"""Codes are whole numbers in ±LARGEST."""

_CHUNK = 1024
_MANTISSA = 53


def exact_product(matrix: np.ndarray, weights: np.ndarray, codes: np.ndarray) -> np.ndarray:
    """Σ_j matrix_ij · weights_j · codes_jk as float64 (rows, k), for codes float64 that hold whole numbers in ±LARGEST.

    Each row of weighted numbers is first rounded to whole multiples of a power of two, as fine as keeps every sum
    below 2^53 (25 bits or more of the row's largest number). Then no order of summation, no fused operation and no
    number of threads can change the result.
    """
    rows, cols = matrix.shape
    bits = _MANTISSA - LARGEST.bit_length() - max(cols, 1).bit_length()
    out = np.empty((rows, codes.shape[1]))
    for start in range(0, rows, _CHUNK):
        part = slice(start, start + _CHUNK)
        weighted = matrix[part].astype(np.float64) * weights
        shifts = bits - np.frexp(np.abs(weighted).max(axis=1, initial=0))[1]
        whole = np.rint(np.ldexp(weighted, shifts[:, None]))
        out[part] = np.ldexp(whole @ codes, -shifts[:, None])
    return out
