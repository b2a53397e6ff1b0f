from __future__ import annotations

import json
import math
import sys
from pathlib import Path

import numpy as np
import pytest

from subbit.analysis.tails import fit_tail, plot_tails, read_history, share_interval
from subbit.errors import SubbitError, UsageError


def drawn(h: float, g: float, weights: int, seed: int, entries: int = 32) -> list[int]:
    random = np.random.default_rng(seed)
    k = np.where(random.random(weights) < h, random.geometric(1 - g, weights), 0)
    counts: list[int] = np.bincount(np.minimum(k, entries - 1), minlength=entries).tolist()
    return counts


@pytest.mark.parametrize("entries", [32, 4])
def test_a_geometric_tail_is_found_and_covered(entries: int) -> None:
    covered = np.zeros(2)
    for seed in range(60):
        tail = fit_tail(drawn(0.36, 0.4, 1000, seed, entries))
        covered += [tail.h_interval[0] <= 0.36 <= tail.h_interval[1], tail.g_interval[0] <= 0.4 <= tail.g_interval[1]]
    assert (covered >= 54).all()
    tail = fit_tail(drawn(0.36, 0.4, 200_000, 1, entries))
    assert (tail.h, tail.g) == (pytest.approx(0.36, abs=0.005), pytest.approx(0.4, abs=0.005))
    assert tail.g_interval[1] - tail.g_interval[0] < 0.01


def test_the_fit_is_the_closed_form() -> None:
    tail = fit_tail([90, 6, 3, 1])  # 4 weights continued at least once; the last may go on
    assert (tail.h, tail.g) == (0.1, pytest.approx((3 + 2) / (3 + 2 + 9)))
    none = fit_tail([100, 0, 0])
    assert (none.h, math.isnan(none.g), none.g_interval) == (0.0, True, (0.0, 1.0))
    assert 0.0 == none.h_interval[0] < none.h_interval[1] < 0.04
    assert fit_tail([0, 0, 5]).g == 1.0


@pytest.mark.parametrize(
    ("hits", "trials", "low", "high"),
    [(0, 10, 0.0, 0.3085), (10, 10, 0.6915, 1.0), (5, 10, 0.1871, 0.8129), (1, 20, 0.0013, 0.2487),
     (100, 1000, 0.0821, 0.1203)],
)  # fmt: skip
def test_clopper_pearson_has_its_published_values(hits: int, trials: int, low: float, high: float) -> None:
    share, interval = share_interval(hits, trials)
    assert share == hits / trials
    assert interval == (pytest.approx(low, abs=6e-5), pytest.approx(high, abs=6e-5))


def test_the_interval_is_that_of_the_binomial_sum() -> None:
    low, high = share_interval(7, 40)[1]

    def at_most(hits: int, p: float) -> float:
        return math.fsum(math.comb(40, i) * p**i * (1 - p) ** (40 - i) for i in range(hits + 1))

    assert (1 - at_most(6, low), at_most(7, high)) == (pytest.approx(0.025), pytest.approx(0.025))


def line(step: int) -> dict[str, object]:
    return {"step": step, "weights": 1000, "excursions": [{"rho": 0.25, "k": drawn(0.3, 0.4, 1000, 0)}]}


def test_a_history_is_read_and_nothing_else(tmp_path: Path) -> None:
    path = tmp_path / "flips.jsonl"
    path.write_text("\n".join(json.dumps(line(step)) for step in (10, 20)) + "\n", encoding="utf-8")
    assert [entry["step"] for entry in read_history(path)] == [10, 20]
    for text in ("", "{}\n", "3\n", "{\n"):
        (tmp_path / "bad").write_text(text, encoding="utf-8")
        with pytest.raises(SubbitError, match="no history"):
            read_history(tmp_path / "bad")
    with pytest.raises(SubbitError) as caught:
        read_history(tmp_path / "missing")
    assert caught.value.kind == "unreadable"


def test_tails_are_drawn(tmp_path: Path) -> None:
    pytest.importorskip("matplotlib")
    (tmp_path / "flips.jsonl").write_text(json.dumps(line(10)), encoding="utf-8")
    plot_tails(tmp_path / "flips.jsonl", tmp_path / "tails.png")
    assert (tmp_path / "tails.png").read_bytes().startswith(b"\x89PNG")
    with pytest.raises(UsageError) as caught:
        plot_tails(tmp_path / "flips.jsonl", tmp_path / "tails.exe")
    assert caught.value.kind == "plot"


def test_without_matplotlib_the_way_out_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    (tmp_path / "flips.jsonl").write_text(json.dumps(line(10)), encoding="utf-8")
    with pytest.raises(UsageError, match=r"subbit\[plot\]"):
        plot_tails(tmp_path / "flips.jsonl", tmp_path / "tails.png")
