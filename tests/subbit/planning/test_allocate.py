from __future__ import annotations

import math
from itertools import pairwise, product

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from subbit.planning.allocate import Point, allocate, hull, refine

POINTS = st.lists(
    st.builds(Point, st.integers(1, 60).map(float), st.integers(0, 100).map(float)), min_size=1, max_size=6
)


@settings(deadline=None, max_examples=100)
@given(POINTS)
def test_hull(points: list[Point]) -> None:
    found = hull(points)
    assert set(found) <= set(points)
    assert found[0].bits == min(p.bits for p in points)
    assert found[-1].distortion == min(p.distortion for p in points)
    slopes = [(b.distortion - a.distortion) / (b.bits - a.bits) for a, b in pairwise(found)]
    assert slopes == sorted(slopes)
    assert all(slope < 0 for slope in slopes)
    for point in points:  # nothing lies below the hull
        for a, b in pairwise(found):
            if a.bits <= point.bits <= b.bits:
                line = a.distortion + (b.distortion - a.distortion) * (point.bits - a.bits) / (b.bits - a.bits)
                assert point.distortion >= line - 1e-9


@settings(deadline=None, max_examples=150)
@given(st.lists(POINTS, min_size=1, max_size=4), st.floats(0, 1))
def test_never_over_and_as_good_as_every_choice(curves: list[list[Point]], share: float) -> None:
    least, most = (sum(pick(p.bits for p in curve) for curve in curves) for pick in (min, max))
    budget = least + share * (most - least)
    chosen = allocate(curves, budget)
    assert math.fsum(p.bits for p in chosen) <= budget + 1e-9
    best = min(
        math.fsum(p.distortion for p in choice)
        for choice in product(*curves)
        if math.fsum(p.bits for p in choice) <= budget
    )
    assert math.fsum(p.distortion for p in chosen) <= best + 1e-6


def test_all_of_the_budget_is_spent_where_it_helps() -> None:
    curves = [[Point(10, 100), Point(50, 20), Point(90, 5)], [Point(10, 50), Point(40, 10)]]
    for budget in (20.0, 33.0, 60.0, 111.0, 130.0):
        assert math.fsum(p.bits for p in allocate(curves, budget)) == pytest.approx(budget)
    assert math.fsum(p.bits for p in allocate(curves, 500.0)) == 130


def test_too_small_a_budget_gives_the_cheapest_points() -> None:
    assert allocate([[Point(10, 5), Point(20, 1)], [Point(7, 3)]], 1.0) == [Point(10, 5), Point(7, 3)]


def test_steps_are_taken_in_the_order_of_their_slopes() -> None:
    steep, flat = [Point(1, 100), Point(2, 0)], [Point(1, 10), Point(2, 0)]
    assert allocate([flat, steep], 3.0) == [Point(1, 10), Point(2, 0)]


def test_steps_from_an_exact_point_are_taken_whole_or_not_at_all() -> None:
    curves = [[Point(10, 100, exact=True), Point(50, 20)], [Point(10, 50, exact=True), Point(20, 45)], [Point(0, 9)]]
    assert allocate(curves, 49.0) == [curves[0][0], curves[1][1], curves[2][0]]
    assert allocate(curves, 60.0) == [curves[0][1], curves[1][0], curves[2][0]]
    assert refine(curves[0]) == curves[0]


def test_refine_stays_between_its_neighbours() -> None:
    points = [Point(10, 80, 0), Point(20, 20, 0), Point(30, 5, 1)]
    refined = refine(points)
    assert refined[0] == points[0]
    assert refined[-1] == points[-1]
    assert len(refined) == 8 + 2
    assert [p.bits for p in refined] == sorted(p.bits for p in refined)
    assert [p.distortion for p in refined] == sorted((p.distortion for p in refined), reverse=True)
    assert not [p for p in refined if 20 < p.bits < 30]
    assert refine([Point(5, 1)]) == [Point(5, 1)]
