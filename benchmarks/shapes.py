"""The command line that the benchmarks of speed share: threads, turns, results, a table in docs/."""

from __future__ import annotations

import argparse
import json
import os
import sys
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

from benchmarks.rate import machine
from benchmarks.report import publish

__all__ = ["SHAPES", "run", "run_cases"]

SHAPES = ((4096, 4096), (11008, 4096))
Measure = Callable[[int, int], list[dict[str, Any]]]
"""Turns and threads → rows of results."""
Table = Callable[[dict[str, Any]], str]


def run(
    name: str,
    description: str,
    measure: Callable[[int, int, int, int], list[dict[str, Any]]],
    table: Table,
    arguments: Sequence[str] | None,
) -> None:
    """Measure shape by shape, `measure(rows, columns, turns, threads)`, and keep what was measured before."""
    parser = _parser(name, description)
    parser.add_argument("--rows", type=int, help="with --cols, one shape instead of the usual two")
    parser.add_argument("--cols", type=int)
    options = parser.parse_args(arguments)
    shapes = [(options.rows, options.cols)] if options.rows and options.cols else SHAPES
    _finish(name, options, {f"{rows} × {cols}": partial(measure, rows, cols) for rows, cols in shapes}, table)


def run_cases(
    name: str, description: str, cases: Mapping[str, Measure], table: Table, arguments: Sequence[str] | None
) -> None:
    """Measure case by case, or those that are named, and keep what was measured before."""
    parser = _parser(name, description)
    parser.add_argument("--case", action="append", choices=list(cases), help="one of the cases; else all")
    options = parser.parse_args(arguments)
    _finish(name, options, {case: cases[case] for case in options.case or cases}, table)


def _parser(name: str, description: str) -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog=f"python -m benchmarks.{name}", description=description)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--turns", type=int, default=15)
    parser.add_argument("--docs", action="store_true", help="only put the stored table into docs/")
    return parser


def _finish(name: str, options: argparse.Namespace, cases: Mapping[str, Measure], table: Table) -> None:
    path = Path(__file__).parent / "results" / f"{name}.json"
    results: dict[str, Any] = json.loads(path.read_text("utf-8")) if path.exists() else {"version": 1, "runs": {}}
    if options.docs:
        publish(name, table(results))
        return
    for case, measure in cases.items():
        key = case + (f", {options.threads} threads" if options.threads > 1 else "")
        print(key, file=sys.stderr, flush=True)
        found = measure(options.turns, options.threads)
        load = os.getloadavg()[0] if hasattr(os, "getloadavg") else None
        results["runs"][key] = {"machine": machine(), "turns": options.turns, "load": load, "rows": found}
        path.write_text(json.dumps(results, indent=1) + "\n", "utf-8")
    print(table(results))
