"""Weights that are computed from what a file will hold; one file a codec, `base` states the contract."""

from __future__ import annotations

from subbit.torch.lockin.coded.weight import VALUES, Coded

__all__ = ["VALUES", "Coded"]
