"""What all figures of a page share and each page holds once: colours of parts, hatches, outlines of marks."""

from __future__ import annotations

from subbit.analysis.report.html import Html, tag
from subbit.analysis.report.parts import PARTS
from subbit.analysis.report.scatter import symbols

__all__ = ["definitions", "part_rules"]

_LINES = {
    "//": "M-2 2L2-2M0 8L8 0M6 10L10 6",
    "\\\\": "M-2 6L2 10M0 0L8 8M6-2L10 2",
    "--": "M0 4H8",
    "||": "M4 0V8",
    "xx": "M0 0L8 8M8 0L0 8",
    "++": "M4 0V8M0 4H8",
    "..": "M3 4H5",
}
"""Hatches, by matplotlib's names, as paths in a square of 8."""


def part_rules() -> str:
    """Style rules for areas of each part, and for text on them."""
    return "".join(
        f".p-{part.key} {{ fill: {part.color}; }}\n"
        f".on-{part.key} text {{ fill: {part.ink}; stroke: {part.color}; stroke-width: 3px; paint-order: stroke; }}\n"
        for part in PARTS.values()
    )


def definitions() -> Html:
    """Hatches and marks, to be referred to; draws nothing."""
    patterns = [
        tag(
            "pattern",
            tag("path", d=_LINES[part.hatch], stroke=part.ink, stroke_width="1.2", stroke_opacity=".28", fill="none"),
            id=f"h-{part.key}", width="8", height="8", patternUnits="userSpaceOnUse",
        )
        for part in PARTS.values() if part.hatch
    ]  # fmt: skip
    return tag("svg", tag("defs", *patterns, symbols()), class_="defs", aria_hidden="true")
