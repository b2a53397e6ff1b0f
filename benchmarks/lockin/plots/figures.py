"""What all figures share: panels, colours that colour-blind readers tell apart, labels beside the lines."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import AbstractContextManager
from importlib import import_module
from io import BytesIO
from pathlib import Path
from typing import Any

from subbit.analysis.pyplot import check_plot

__all__ = [
    "BLACK",
    "BLUE",
    "COLORS",
    "GRAY",
    "GREEN",
    "ORANGE",
    "PINK",
    "RED",
    "SKY",
    "label",
    "panels",
    "save",
    "style",
]

BLACK, GRAY = "#000000", "#8a8a8a"
BLUE, RED, GREEN, ORANGE, SKY, PINK = "#0072B2", "#D55E00", "#009E73", "#E69F00", "#56B4E9", "#CC79A7"
COLORS = (BLUE, RED, GREEN, PINK, ORANGE, SKY)
"""Okabe & Ito, "Color Universal Design" (2008)."""

_DPI, _PALETTE, _HEIGHT = 120, 64, 3.7
_STYLE = {"font.size": 9, "axes.spines.top": False, "axes.spines.right": False, "axes.titlesize": 9.5}


def style() -> AbstractContextManager[None]:
    """Sizes of all text, for the length of a block; raises UsageError without matplotlib."""
    check_plot("figure.png")
    context: AbstractContextManager[None] = import_module("matplotlib").rc_context(_STYLE)
    return context


def panels(count: int, width: float = 4.2, height: float = _HEIGHT) -> tuple[Any, Sequence[Any]]:
    """A figure and a row of its axes."""
    figure = import_module("matplotlib.figure").Figure(figsize=(width * count, height), layout="constrained")
    axes = figure.subplots(1, count, squeeze=False)[0]
    for axis in axes:
        axis.grid(visible=True, color="#e6e6e6", linewidth=0.6)
        axis.set_axisbelow(True)
    return figure, axes


def label(axes: Any, text: str, at: tuple[float, float], color: str, offset: tuple[float, float] = (5, 0)) -> None:
    """Text beside a point, in points from it: to the left of it for a negative distance."""
    axes.annotate(
        text, at, offset, textcoords="offset points", color=color, va="center", ha="right" if offset[0] < 0 else "left",
        fontsize=8, annotation_clip=False,
    )  # fmt: skip


def save(figure: Any, path: Path) -> None:
    """Write the figure as PNG of 64 colours, a third of the size of one with all."""
    drawn = BytesIO()
    figure.savefig(drawn, dpi=_DPI)
    import_module("PIL.Image").open(drawn).convert("RGB").quantize(_PALETTE).save(path, optimize=True)
