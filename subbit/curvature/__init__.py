"""What an error in a weight costs the model: the record, and the order of coding that follows from it."""

from __future__ import annotations

from subbit.curvature.ordering import Feedback, feedback
from subbit.curvature.record import Curvature

__all__ = ["Curvature", "Feedback", "feedback"]
