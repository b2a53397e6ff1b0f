"""Products with matrices of signs: of eight columns a table says what each pattern of signs makes of their numbers."""

from __future__ import annotations

import numpy as np

__all__ = ["multiply"]


def multiply(codes: np.ndarray, x: np.ndarray, first: int, stop: int, y: np.ndarray) -> None:
    """y[:, i] = Σ over columns j of ± x[:, j], for outputs first … stop - 1.

    Codes uint8[columns / 8, outputs]: bit j % 8 of codes[j // 8, i], set for a minus. x float32[n, columns] and
    y float32[n, outputs], n at most 16; columns of x past its end are nothing. Twins agree but for rounding.
    """
    bits = np.unpackbits(codes[:, None, first:stop], axis=1, bitorder="little")  # [octet, place, output]
    signs = np.where(bits, np.float32(-1), np.float32(1)).reshape(-1, stop - first)
    y[:, first:stop] = x @ signs[: x.shape[1]]
