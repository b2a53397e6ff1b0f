"""Passes that wait for one another: they go on from where they stood, hand over errors, and end when given up."""

from __future__ import annotations

import threading
from collections.abc import Callable
from contextlib import closing
from typing import Any

import pytest
import torch

from subbit.torch.sequential.lanes import Lane, Workers


def counting(stop: Callable[[Any], None]) -> str:
    for k in range(3):
        stop(k)
    return "done"


def test_it_stops_where_asked_and_goes_on() -> None:
    lane = Lane(counting)
    assert [lane.advance() for _ in range(4)] == [0, 1, 2, "done"]
    lane.close()


def test_weights_that_change_while_it_waits_are_the_ones_it_uses() -> None:
    weight = torch.ones(3)

    def run(stop: Callable[[Any], None]) -> torch.Tensor:
        stop(None)
        return weight * 2

    lane = Lane(run)
    lane.advance()
    weight.fill_(5)
    assert lane.advance().tolist() == [10, 10, 10]
    lane.close()


def test_errors_arrive_where_it_is_advanced() -> None:
    def run(stop: Callable[[Any], None]) -> None:
        stop(None)
        raise ValueError("broken")

    lane = Lane(run)
    lane.advance()
    with pytest.raises(ValueError, match="broken"):
        lane.advance()
    lane.close()


def test_no_thread_is_left_behind() -> None:
    before = threading.active_count()
    lanes = [Lane(counting) for _ in range(3)]
    lanes[0].advance()
    for _ in range(4):
        lanes[1].advance()
    for lane in lanes:
        lane.close()
    assert threading.active_count() == before


def test_workers_keep_the_order_and_take_no_gradients() -> None:
    with closing(Workers(2)) as workers:
        found = list(workers.map(lambda k: (k, torch.is_grad_enabled()), range(20)))
    assert found == [(k, False) for k in range(20)]
