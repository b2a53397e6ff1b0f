"""Recovery: a compressed model learns from its original to live with its codes."""

from __future__ import annotations

from subbit.torch.healing.healer import heal
from subbit.torch.healing.report import HealReport

__all__ = ["HealReport", "heal"]
