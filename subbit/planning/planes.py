"""Which sign planes are worth comparing on a tensor, and what plane and flips cost, counted by coding them."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from subbit.bits.packing import pack_signs
from subbit.signs import Base, Fitted, SignPlane, Stored, agreement, flips, signs

__all__ = ["Plane", "planes"]

_CORNER = 512
_WORTHLESS = 0.6  # a plane that agrees no better than this is not tried


@dataclass(frozen=True)
class Plane:
    """A sign plane, the bits of plane and flips, and the agreement in words."""

    signs: SignPlane
    bits: float
    why: str


def planes(matrix: np.ndarray, mode: str, declared: SignPlane | None, base: Base | None) -> list[Plane]:
    """The planes worth comparing: what the checkpoint declares, two angles, stored bits, those of a parent."""
    rows, cols = matrix.shape
    words = pack_signs(matrix)
    zeros = pack_signs(matrix == 0)
    candidates: list[SignPlane] = []
    if declared is not None and mode in ("auto", "declared"):
        candidates.append(declared)
    if mode == "fitted" or (mode == "auto" and declared is None and _rank_two(matrix)):
        candidates.append(Fitted())
    if mode == "stored":
        candidates.append(Stored())
    if base is not None and mode in ("auto", "base"):
        candidates.append(base)
    found = []
    for plane in candidates:
        data = plane.encode(words, rows, cols)
        rendered = signs(plane, data, rows, cols)
        share = agreement(rendered, words, rows, cols)
        if mode == "auto" and share < _WORTHLESS:
            continue
        bits = 8.0 * (len(data) + len(flips.encode((rendered ^ words) & ~zeros, rows, cols)))
        known = Base(base.parent) if base is not None and plane is base else plane  # a plan holds no tensors
        found.append(Plane(known, bits, f"{plane.kind} signs agree to {share:.4%}"))
    return found


def _rank_two(matrix: np.ndarray) -> bool:
    """Whether two angles explain a corner of the signs; a template restricted to some rows and columns is one too."""
    rows, cols = matrix.shape
    part = np.ascontiguousarray(matrix[:: -(-rows // _CORNER), :: -(-cols // _CORNER)])
    words = pack_signs(part)
    if not Fitted.promising(words, *part.shape):
        return False
    plane = Fitted()
    return agreement(signs(plane, plane.encode(words, *part.shape), *part.shape), words, *part.shape) >= _WORTHLESS
