"""Spend a number of bits over many rate–distortion curves so that the sum of distortions is least.

The Lagrangian sweep: on the lower convex hull of every curve the slope says what a bit saves; bits go to the
steepest slope first. Square roots and comparisons only, so that every machine allocates alike.
Source: Shoham and Gersho, "Efficient bit allocation for an arbitrary set of quantizers" (1988).
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from itertools import pairwise

__all__ = ["Point", "allocate", "hull", "refine"]


@dataclass(frozen=True)
class Point:
    """One way to code a tensor: bits spent, distortion left, and which family of codecs it is of.

    `exact` points have nothing of their family just above them: it goes on at the next point.
    """

    bits: float
    distortion: float
    family: int = 0
    exact: bool = False


def hull(points: list[Point]) -> list[Point]:
    """The lower convex hull, from fewest bits to least distortion."""
    best: list[Point] = []
    for point in sorted(points, key=lambda p: (p.bits, p.distortion)):
        if best and point.distortion >= best[-1].distortion:
            continue
        while len(best) > 1 and _slope(best[-2], best[-1]) >= _slope(best[-2], point):
            best.pop()
        best.append(point)
    return best


def refine(points: list[Point], halvings: int = 3) -> list[Point]:
    """Put points between neighbours of one family: half the bits between, the geometric mean of distortions."""
    for _ in range(halvings):
        between = []
        for a, b in pairwise(points):
            between.append(a)
            if a.family == b.family and b.distortion > 0 and not a.exact:
                middle = math.sqrt(a.distortion) * math.sqrt(b.distortion)
                between.append(Point((a.bits + b.bits) / 2, middle, a.family))
        points = between + points[-1:]
    return points


def allocate(curves: list[list[Point]], budget: float) -> list[Point]:
    """One point a curve: the sum of bits at most `budget`, the last step taken in part.

    A step that cannot be taken in part ends its curve, and the others go on.
    Every curve starts at its cheapest point; if those cost more than `budget` they are returned as they are.
    """
    hulls = [hull(curve) for curve in curves]
    chosen = [points[0] for points in hulls]
    spent = math.fsum(point.bits for point in chosen)
    steps = [
        (_slope(points[k], points[k + 1]), index, k)
        for index, points in enumerate(hulls)
        for k in range(len(points) - 1)
    ]
    ended: set[int] = set()
    for _, index, k in sorted(steps):
        if index in ended:
            continue
        start, end = hulls[index][k], hulls[index][k + 1]
        room = budget - spent
        if end.bits - start.bits <= room:
            chosen[index] = end
            spent += end.bits - start.bits
            continue
        if start.exact:
            ended.add(index)
            continue
        if room > 0:  # more of the family at hand, even where the next point is of another one
            share = room / (end.bits - start.bits)
            distortion = start.distortion + share * (end.distortion - start.distortion)
            chosen[index] = Point(start.bits + room, distortion, start.family)
        break
    return chosen


def _slope(a: Point, b: Point) -> float:
    """Distortion saved a bit, negative; steep means worth it."""
    return (b.distortion - a.distortion) / (b.bits - a.bits)
