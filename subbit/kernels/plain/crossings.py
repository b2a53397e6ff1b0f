"""Excursions of weights from far out to the boundary around 0 and out again, one weight a byte.

The byte of a weight: bit 0 is the sign at its latest outer visit (1 is negative), bits 1–2 its stage, bits 3–7 how
many excursions came back with the other sign, at most 31. Stages: 0 has not been far out yet, 1 has been and not been
back, 2 is on its way from the boundary, 3 is far out again.
"""

from __future__ import annotations

import numpy as np

__all__ = ["advance"]


def advance(values: np.ndarray, states: np.ndarray, outer: np.float32, inner: np.float32) -> int:
    """Move every state uint8[n] one step on, for the weights float32[n]: |w| ≥ outer is far out, ≤ inner boundary.

    Returns how many weights now have the other sign than far out without having been seen at the boundary.
    """
    size, negative = np.abs(values), np.signbit(values)
    stage, changed = states & np.uint8(6), negative != ((states & np.uint8(1)) == 1)
    first, again = (size >= outer) & (stage == 0), (size >= outer) & (stage == 4)
    away = (stage == 2) | (stage == 6)
    back = away & (size <= inner)
    missed = int(np.count_nonzero(away & ~back & changed))
    counts = (states >> np.uint8(3)) + (again & changed & (states < np.uint8(31 << 3)))
    sign = np.where(first | again, negative, states & np.uint8(1))
    stage = np.where(first, 2, np.where(back, 4, np.where(again, 6, stage)))
    states[:] = (counts.astype(np.uint8) << np.uint8(3)) | stage.astype(np.uint8) | sign.astype(np.uint8)
    return missed
