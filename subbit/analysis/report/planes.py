"""The two figures with axes: what signs cost against the wall, and error against rate."""

from __future__ import annotations

from collections.abc import Sequence

from subbit.analysis.report.facts import Facts, Row
from subbit.analysis.report.groups import Group, by_kind
from subbit.analysis.report.html import number, rounded
from subbit.analysis.report.scatter import Axis, Mark, Scatter
from subbit.analysis.report.signs import Signs

__all__ = ["WALL", "bound", "rate_figures", "sign_figures"]

WALL = 1.0
"""Bits that a sign costs when nothing predicts it."""
_ROOM = 1.06
_ROOM_AROUND, _LEAST_ROOM = 0.25, 0.05


def bound(bits: float) -> float:
    """The least relative squared error of a Gaussian source at so many bits: 2^(−2R)."""
    return float(2.0 ** (-2.0 * bits))


def sign_figures(files: Sequence[Facts]) -> list[Scatter]:
    """For each file bits a weight for signs against bits in all, on axes that the files share."""
    marks = []
    for facts in files:
        found = [
            (group, group.sign_bits, group.bits)
            for groups in by_kind(row for row in facts.coded if isinstance(row.signs, Signs)).values()
            for group in groups
        ]
        marks.append(
            [
                Mark(bits, signs, _family(group), f"{group.label}: {number(signs)} of {number(bits)} bits for signs")
                for group, signs, bits in found
                if signs is not None and bits is not None
            ]
        )
    high = _ROOM * max([mark.x for found in marks for mark in found] + [1.2 * WALL])
    x, y = Axis("bits a weight, all", 0.0, high), Axis("bits a weight, signs", 0.0, 1.15 * WALL)
    ends = min(high, y.high)
    lines = ((0.0, WALL, high, WALL, "the wall: 1 bit a sign"), (0.0, 0.0, ends, ends, ""))
    return [Scatter(x, y, tuple(found), lines) for found in marks]


def rate_figures(files: Sequence[Facts]) -> list[Scatter]:
    """For each file error against bits, the error's axis logarithmic, where 2^(−2R) is a straight line."""
    marks = []
    for facts in files:
        found = [(group, group.bits, group.error) for groups in by_kind(facts.coded).values() for group in groups]
        marks.append(
            [
                Mark(bits, error, _family(group), f"{group.label}: error {rounded(error)} at {number(bits)} bits")
                for group, bits, error in found
                if bits is not None and error
            ]
        )
    every = [mark for found in marks for mark in found]
    if not every:
        return []
    first, last = min(mark.x for mark in every), max(mark.x for mark in every)
    room = max(_ROOM_AROUND * (last - first), _LEAST_ROOM)
    first, last = max(0.0, first - room), last + room
    low = min([mark.y for mark in every] + [bound(last)]) / 1.1
    high = max([mark.y for mark in every] + [bound(first)]) * 1.1
    x, y = Axis("bits a weight", first, last), Axis("error", low, high, log=True)
    line = (first, bound(first), last, bound(last), "Gaussian bound")
    return [Scatter(x, y, tuple(found), (line,)) for found in marks]


def _family(group: Group) -> str:
    found = {_family_of(row) for row in group.rows}
    return found.pop() if len(found) == 1 else "other"


def _family_of(row: Row) -> str:
    if row.codec == "delta" or row.plane == "base":
        return "parent"
    if row.plane is None:
        return "joint"
    return "stored" if row.plane == "stored" else "template"
