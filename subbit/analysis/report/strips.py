"""Bits and error of every layer, a strip for each kind of tensor: bars up are bits, bars down errors."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import NamedTuple

from subbit.analysis.report.facts import Facts
from subbit.analysis.report.groups import Group, by_kind
from subbit.analysis.report.html import Html, join, number, percent, rounded, tag

__all__ = ["Scale", "common_scale", "draw_strips", "strips"]

_UP = 0.6
"""Share of a strip's height above the base line, where there are errors."""
_GAP = 0.15


class Scale(NamedTuple):
    """What full height means: of bits up, of errors down (None: there are none), shared by all strips of a page."""

    bits: float
    error: float | None


def strips(facts: Facts) -> dict[str, list[Group]]:
    """Groups in layers by kind, of tensors that lost something; kinds without layers are in the table alone."""
    kinds = by_kind(row for row in facts.coded if row.place.layer is not None)
    return {kind: groups for kind, groups in kinds.items() if groups[0].layer is not None}


def common_scale(files: Sequence[Facts]) -> Scale:
    """The largest bits and the largest error of all strips of all files."""
    groups = [group for facts in files for kind in strips(facts).values() for group in kind]
    errors = [group.error for group in groups if group.error is not None]
    return Scale(max((group.bits or 0.0 for group in groups), default=1.0) or 1.0, max(errors, default=0.0) or None)


def draw_strips(facts: Facts, scale: Scale) -> Html:
    """A strip a kind under its name and its figures in words."""
    return tag("div", *(_strip(kind, groups, scale) for kind, groups in strips(facts).items()), class_="strips")


def _strip(kind: str, groups: Sequence[Group], scale: Scale) -> Html:
    words = _range("bits", [group.bits for group in groups], number)
    errors = [group.error for group in groups]
    lost = _range("error", errors, rounded)
    up = _UP if scale.error is not None else 1.0
    places = _places(groups)
    bars = [_bar(group, place, scale, up) for group, place in zip(groups, places, strict=True)]
    wall = up * (1 - 1 / scale.bits)
    level = {"x1": "0", "x2": "100%", "y1": percent(wall), "y2": percent(wall)}
    one = join(tag("line", class_="under", **level), tag("line", class_="wall", **level)) if wall >= 0 else None
    base = tag("line", x1="0", x2="100%", y1=percent(up), y2=percent(up), class_="base")
    said = f"{kind}: {words}{', ' + lost if lost else ''}"
    first, last = groups[0], groups[-1]
    axis = tag("p", tag("span", str(first.layer)), tag("span", str((last.layer or 0) + last.span - 1)), class_="axis")
    return tag(
        "div",
        tag("p", tag("b", kind), " ", tag("span", f"{words}{' · ' + lost if lost else ''}"), class_="of"),
        tag("svg", *bars, base, one, role="img", aria_label=said),
        axis if len(groups) > 1 else None,
        class_="strip",
    )


def _places(groups: Sequence[Group]) -> list[tuple[float, float]]:
    """Left edge and width of every bar: layers side by side, and stacks of the same kind after each other."""
    return [((k + _GAP / 2) / len(groups), (1 - _GAP) / len(groups)) for k in range(len(groups))]


def _bar(group: Group, place: tuple[float, float], scale: Scale, up: float) -> Html:
    left, width = map(percent, place)
    height = up * (group.bits or 0.0) / scale.bits
    title = f"{group.label}: {number(group.bits)} bits"
    parts = [tag("rect", x=left, width=width, y=percent(up - height), height=percent(height), class_="bits")]
    if scale.error is not None and group.error is not None:
        down = (1 - up) * group.error / scale.error
        title += f", error {rounded(group.error)}"
        parts.append(tag("rect", x=left, width=width, y=percent(up), height=percent(down), class_="error"))
    return tag("g", tag("title", title), join(*parts))


def _range(name: str, values: Sequence[float | None], write: Callable[[float], str]) -> str:
    known = [value for value in values if value is not None]
    if not known:
        return ""
    low, high = write(min(known)), write(max(known))
    return f"{low} {name}" if low == high else f"{low}–{high} {name}"
