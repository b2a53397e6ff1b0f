"""The warning of a report: when a model will not work, which tensors say so, and what to do."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from subbit.model import Report, TensorReport


def report(*rows: TensorReport) -> Report:
    return Report(Path("m.sbit"), 1000, 1000, 900, 1000, rows)


def row(name: str, error: float, **more: bool) -> TensorReport:
    return TensorReport(name, (10, 10), "deadzone", more.pop("covered", True), 100, error, **more)


LOSSES = [row(name, error) for name, error in (("a", 0.3), ("b", 0.2), ("c", 0.6), ("d", 0.06), ("e", 0.04))]


def test_ordinary_tensors_beyond_five_percent_are_counted_and_the_worst_named() -> None:
    text = report(*LOSSES).warning
    assert text is not None
    assert text.startswith("4 of 5 coded tensors lost more than 5% of their energy (worst: c 60%, a 30%, b 20%)")
    for way in ("--text", "--heal", "--bits 4", "--keep", "template signs"):
        assert way in text
    assert str(report(*LOSSES)).endswith(f"\nwarning: {text}")
    assert report(*LOSSES).to_dict()["warning"] == text


@pytest.mark.parametrize("known", ["free_signs", "weighed"])
def test_others_may_lose_more_until_most_is_lost(known: str) -> None:
    rows = [replace(row, **{known: True}) for row in LOSSES]
    assert report(*rows).warning is None
    text = report(*rows, row("worst", 5.0, **{known: True})).warning
    assert text is not None
    assert "worst 500%, c 60%, a 30%" in text
    assert "--bits" in text
    assert "--heal" in text


def test_what_is_near_or_not_covered_raises_no_warning() -> None:
    assert report(row("a", 0.05), row("b", 0.9, covered=False)).warning is None
    assert "warning" not in str(report(row("a", 0.05)))
    assert report().warning is None
