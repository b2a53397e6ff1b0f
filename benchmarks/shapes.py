"""The command line that `decode` and `matmul` share: shapes, threads, turns, results, a table in the README."""

from __future__ import annotations

import argparse
import json
import os
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from benchmarks.rate import machine
from benchmarks.report import rewrite

__all__ = ["SHAPES", "run"]

SHAPES = ((4096, 4096), (11008, 4096))
README = Path(__file__).parent.parent / "README.md"


def run(
    name: str,
    description: str,
    measure: Callable[[int, int, int, int], list[dict[str, Any]]],
    table: Callable[[dict[str, Any]], str],
    arguments: Sequence[str] | None,
) -> None:
    """Measure shape by shape, `measure(rows, columns, turns, threads)`, and keep what was measured before."""
    parser = argparse.ArgumentParser(prog=f"python -m benchmarks.{name}", description=description)
    parser.add_argument("--rows", type=int, help="with --cols, one shape instead of the usual two")
    parser.add_argument("--cols", type=int)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--turns", type=int, default=15)
    parser.add_argument("--readme", action="store_true", help="only put the stored table into README.md")
    options = parser.parse_args(arguments)
    path = Path(__file__).parent / "results" / f"{name}.json"
    results: dict[str, Any] = json.loads(path.read_text("utf-8")) if path.exists() else {"version": 1, "runs": {}}
    if options.readme:
        README.write_text(rewrite(README.read_text("utf-8"), name, table(results)), "utf-8")
        return
    for rows, cols in [(options.rows, options.cols)] if options.rows and options.cols else SHAPES:
        key = f"{rows} × {cols}" + (f", {options.threads} threads" if options.threads > 1 else "")
        print(key, file=sys.stderr, flush=True)
        found = measure(rows, cols, options.turns, options.threads)
        load = os.getloadavg()[0] if hasattr(os, "getloadavg") else None
        results["runs"][key] = {"machine": machine(), "turns": options.turns, "load": load, "rows": found}
        path.write_text(json.dumps(results, indent=1) + "\n", "utf-8")
    print(table(results))
