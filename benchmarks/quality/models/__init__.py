"""The models, one file each: weights that a package ships, an architecture, a yardstick."""

from __future__ import annotations

from collections.abc import Callable

from benchmarks.quality.models.base import Model
from benchmarks.quality.models.crepe import Crepe
from benchmarks.quality.models.efficientnet import EfficientNet
from benchmarks.quality.models.minilm import MiniLM
from benchmarks.quality.models.smollm2 import SmolLM2

__all__ = ["OPEN", "Model"]

OPEN: dict[str, Callable[[], Model]] = {
    "smollm2": SmolLM2, "minilm": MiniLM, "efficientnet": EfficientNet, "crepe": Crepe,
}  # fmt: skip
"""By name; opening raises UnavailableError where the package is not installed."""
