"""Calibration: what the weights of a model read and write, measured on data."""

from __future__ import annotations

from subbit.torch.calibration.checkpoint import calibrate_checkpoint
from subbit.torch.calibration.collect import calibrate

__all__ = ["calibrate", "calibrate_checkpoint"]
