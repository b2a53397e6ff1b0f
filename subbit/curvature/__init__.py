"""What an error in a weight costs the model: the record, its factorization, its damping."""

from __future__ import annotations

from subbit.curvature.record import Curvature

__all__ = ["Curvature"]
