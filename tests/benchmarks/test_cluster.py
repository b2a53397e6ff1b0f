from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from benchmarks import cluster
from benchmarks.cluster_simulated import MODELS, Costs, simulate

COSTS = Costs(
    look=1e-7, encode=1e-6, embedding=1e-7, task=1e-3, tensor=1e-3, stored=1e-9, resident=1e8, weight=10.0
)  # fmt: skip


def test_models_have_the_weights_that_they_are_named_for():
    sizes = {name: sum(rows * cols * n for (rows, cols), n in shapes.items()) for name, shapes in MODELS.items()}
    assert [round(size / 1e9) for size in sizes.values()] == [7, 69, 406, 1034]


def test_more_workers_take_less_time_until_something_else_limits():
    shapes = {(1000, 1000): 100}
    one, many = simulate(shapes, 1, COSTS), simulate(shapes, 10, COSTS)
    assert one.seconds == pytest.approx(100 * 1.1 + 2 * 100 * 2e6 / 1e9)
    assert many.seconds == pytest.approx(one.seconds / 10, rel=0.1)
    assert (one.limit, one.memory) == ("encoding", 1e8 + 1e7)
    assert simulate(shapes, 1000, COSTS).limit == "the largest tensor"
    assert simulate(shapes, 10, replace(COSTS, read_all=1e6)).limit == "reading"
    slow = simulate(shapes, 10, replace(COSTS, tensor=10.0))
    assert slow.limit == "the coordinator"
    assert slow.seconds > 1000


def test_costs_and_turns_of_small_matrices(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    pytest.importorskip("distributed")
    monkeypatch.setattr(cluster, "TASKS", 4)
    monkeypatch.setattr(cluster, "KEPT", 4)
    monkeypatch.setattr(cluster, "LARGE_KEPT", 2)
    monkeypatch.setattr(cluster, "SIDE", 64)
    monkeypatch.setattr(cluster, "PROFILES", ("size",))
    monkeypatch.setenv("SUBBIT_THREADS", "1")
    monkeypatch.setattr(cluster, "peaks", lambda folder, side: {"resident": 1e8, "weight": 10.0})
    results = cluster.measure(tmp_path, turns=1, megaweights=0, side=64)
    assert results["runs"]["identical"]
    text = cluster.tables(results)
    assert text.count("\n| ") == 1 + len(MODELS)
    assert len({line.count("|") for line in text.splitlines() if line.startswith("|")}) == 1
