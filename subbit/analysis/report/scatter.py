"""A plane of marks with axes: what the figures of signs and of rate and distortion have in common."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import NamedTuple

from subbit.analysis.report.html import Html, percent, tag

__all__ = ["FAMILIES", "Axis", "Family", "Mark", "Scatter", "draw_legend", "draw_scatter", "symbols"]

_TICKS = 5
_POWER = 10


class Family(NamedTuple):
    """How tensors of one way of coding are marked: never by colour alone. `marker` is what matplotlib calls it."""

    title: str
    marker: str


FAMILIES = {
    "joint": Family("signs and magnitudes coded together", "o"),
    "template": Family("signs from a template", "^"),
    "stored": Family("signs stored", "s"),
    "parent": Family("told from a parent checkpoint", "D"),
    "other": Family("several ways", "X"),
}


class Mark(NamedTuple):
    """One group of tensors."""

    x: float
    y: float
    family: str
    label: str


class Axis(NamedTuple):
    """From low to high, with a title; `log` says that places are even in the logarithm."""

    title: str
    low: float
    high: float
    log: bool = False

    def place(self, value: float) -> float:
        """Where a value lies, 0 … 1."""
        if self.log:
            return math.log(max(value, self.low) / self.low) / math.log(self.high / self.low)
        return (value - self.low) / (self.high - self.low)

    def ticks(self) -> list[float]:
        """Round values, about five; powers of ten with 2 and 5 where there are few, or evenly within one power."""
        if not self.log or self.high < _POWER * self.low:
            rough = (self.high - self.low) / _TICKS
            unit = 10 ** math.floor(math.log10(rough))
            step = next(unit * k for k in (1, 2, 5, 10) if unit * k >= rough * 0.999)
            first = math.ceil(self.low / step - 1e-9)
            return [round(k * step, 12) for k in range(first, math.floor(self.high / step + 1e-9) + 1)]
        first, last = math.floor(math.log10(self.low)), math.ceil(math.log10(self.high))
        factors = (1, 2, 5) if last - first <= 2 else (1,)
        values = [k * 10.0**power for power in range(first, last + 1) for k in factors]
        return [value for value in values if self.low * 0.999 <= value <= self.high * 1.001]


class Scatter(NamedTuple):
    """Marks on two axes; `lines` are (x, y, x, y, name), straight on these axes, the name at their second end."""

    x: Axis
    y: Axis
    marks: tuple[Mark, ...]
    lines: tuple[tuple[float, float, float, float, str], ...]


def draw_scatter(figure: Scatter, said: str) -> Html:
    """The figure as SVG; text keeps its size on any screen."""
    grid = [_x_tick(figure.x, value) for value in figure.x.ticks()]
    grid += [_y_tick(figure.y, value) for value in figure.y.ticks()]
    lines = [_line(figure, *line) for line in figure.lines]
    marks = [_mark(figure, mark) for mark in figure.marks]
    names = [
        tag("text", figure.x.title, x="100%", y="100%", dy="36", class_="name end"),
        tag("text", figure.y.title, x="0", y="0", dx="-44", dy="-12", class_="name"),
    ]
    plane = tag("svg", *grid, *lines, *marks, *names, role="img", aria_label=said)
    return tag("div", plane, class_="plane")


def draw_legend(families: Sequence[str]) -> Html:
    """Which mark means what, of those that occur."""
    return tag("ul", *(_entry(family) for family in FAMILIES if family in families), class_="legend")


def symbols() -> Html:
    """The marks' outlines, which every figure of a page uses; round 0, 0."""
    paths = {
        "joint": "M4.5 0A4.5 4.5 0 1 1-4.5 0A4.5 4.5 0 1 1 4.5 0Z",
        "template": "M0-5.5L5 4H-5Z",
        "stored": "M-4-4H4V4H-4Z",
        "parent": "M0-5.5L5.5 0L0 5.5L-5.5 0Z",
        "other": "M-4-5L0-1.5L4-5L5-4L1.5 0L5 4L4 5L0 1.5L-4 5L-5 4L-1.5 0L-5-4Z",
    }
    return tag("g", *(tag("path", id=f"m-{family}", d=path) for family, path in paths.items()))


def _entry(family: str) -> Html:
    mark = tag("use", href=f"#m-{family}", x="8", y="8", class_=f"mark f-{family}")
    return tag("li", tag("svg", mark, width="16", height="16", aria_hidden="true"), FAMILIES[family].title)


def _mark(figure: Scatter, mark: Mark) -> Html:
    x, y = percent(figure.x.place(mark.x)), percent(1 - figure.y.place(mark.y))
    used = tag("use", href=f"#m-{mark.family}", x=x, y=y, class_=f"mark f-{mark.family}")
    return tag("g", tag("title", mark.label), used)


def _line(figure: Scatter, x1: float, y1: float, x2: float, y2: float, name: str) -> Html:
    ends = [percent(figure.x.place(x1)), percent(1 - figure.y.place(y1))]
    ends += [percent(figure.x.place(x2)), percent(1 - figure.y.place(y2))]
    drawn = tag("line", x1=ends[0], y1=ends[1], x2=ends[2], y2=ends[3], class_="wall")
    beside = {"dx": "-14", "dy": "4"} if y2 < y1 else {"dy": "-8"}  # below a line that falls, above another
    return tag("g", drawn, tag("text", name, x=ends[2], y=ends[3], class_="name end", **beside))


def _x_tick(axis: Axis, value: float) -> Html:
    x = percent(axis.place(value))
    line = tag("line", x1=x, x2=x, y1="0", y2="100%", class_="grid")
    return tag("g", line, tag("text", f"{value:g}", x=x, y="100%", dy="18", class_="tick mid"))


def _y_tick(axis: Axis, value: float) -> Html:
    y = percent(1 - axis.place(value))
    line = tag("line", x1="0", x2="100%", y1=y, y2=y, class_="grid")
    return tag("g", line, tag("text", f"{value:g}", x="0", y=y, dx="-6", dy="4", class_="tick end"))
