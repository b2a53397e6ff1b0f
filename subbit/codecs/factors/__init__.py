"""Binary low-rank factors: fitting them, writing them down, reading them back."""

from __future__ import annotations

from subbit.codecs.factors.codec import Factors

__all__ = ["Factors"]
