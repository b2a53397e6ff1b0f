"""Rate and distortion: stored bits from file sizes, error, encode and decode time, beside the peers.

python -m benchmarks.rate [DATA …] [--repeats 3]    measure, print, write results/rate.json
python -m benchmarks.rate --docs                    put the tables of results/rate.json into docs/
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import statistics
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np

from benchmarks.data import DATASETS, Weights, relative_error
from benchmarks.methods import PEERS, Method, versions
from benchmarks.ours import methods_for
from benchmarks.peers.base import UnavailableError
from benchmarks.report import publish, tables
from subbit.version import __version__

RESULTS = Path(__file__).parent / "results" / "rate.json"


def measure(weights: Weights, methods: Sequence[Method], repeats: int) -> list[dict[str, Any]]:
    """Run all methods in turn, `repeats` times over, so that a slow minute of the machine hits each alike."""
    rows: dict[str, dict[str, Any]] = {method.name: {"method": method.name} for method in methods}
    times: dict[str, list[tuple[float, float, float]]] = {method.name: [] for method in methods}
    corner = {name: weight[:256, :256] for name, weight in list(weights.items())[:1]}
    with TemporaryDirectory() as folder:
        for turn in range(-1, repeats):  # turn -1 compiles, loads and builds tables, on a corner
            copy = _time_copy(weights)
            for method in methods:
                try:
                    part = corner if turn < 0 else weights
                    row, seconds = _run(method, part, Path(folder), check=turn == 0)
                except UnavailableError as reason:
                    rows[method.name]["unavailable"] = str(reason)
                    continue
                if turn >= 0:
                    rows[method.name] |= row
                    times[method.name].append((*seconds, copy))
                    _progress(method.name, row)
    for name, taken in times.items():
        if taken:
            rows[name] |= _medians(taken)
    return list(rows.values())


def _run(method: Method, weights: Weights, folder: Path, check: bool) -> tuple[dict[str, Any], tuple[float, float]]:
    """Encode, decode and compare once; the error is worked out where `check` asks for it."""
    start = time.perf_counter()
    file = method.encode(weights, folder / "model.sbit")
    encoded = time.perf_counter()
    rebuilt = file.decode()
    decoded = time.perf_counter()
    row: dict[str, Any] = {
        "bytes": file.size,
        "bits": 8 * file.size / sum(weight.size for weight in weights.values()),
    }
    if check:
        row["error"] = relative_error(weights, rebuilt)
    return row, (encoded - start, decoded - encoded)


def _time_copy(weights: Weights) -> float:
    """Seconds that copying the float32 weights takes, the yardstick of decoding; pages are touched first."""
    targets = {name: np.zeros_like(weight) for name, weight in weights.items()}
    start = time.perf_counter()
    for name, weight in weights.items():
        np.copyto(targets[name], weight)
    return time.perf_counter() - start


def _medians(taken: list[tuple[float, float, float]]) -> dict[str, float]:
    return {
        "encode_seconds": statistics.median(encode for encode, _, _ in taken),
        "decode_seconds": statistics.median(decode for _, decode, _ in taken),
        "decode_in_copies": statistics.median(decode / copy for _, decode, copy in taken),
    }


def machine() -> dict[str, Any]:
    """What the figures were measured on."""
    return {
        "subbit": __version__,
        "python": platform.python_version(),
        "numpy": np.__version__,
        "processor": platform.machine(),
        "threads": len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count(),
        "peers": versions(),
    }


def _progress(name: str, row: dict[str, Any]) -> None:
    error = f"{row['error']:.4f}" if "error" in row else ""
    print(f"  {name:44} {row['bits']:.4f} {error}", file=sys.stderr, flush=True)


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.rate", description="Rate, error and time.")
    parser.add_argument("data", nargs="*", help=f"of {', '.join(DATASETS)}; all of them where none is named")
    parser.add_argument("--repeats", type=int, default=3, help="turns over all methods; times are medians")
    parser.add_argument("--docs", action="store_true", help="only put the stored tables into docs/")
    options = parser.parse_args(arguments)
    if unknown := set(options.data) - set(DATASETS):
        parser.error(f"no such data: {', '.join(sorted(unknown))}")
    results: dict[str, Any] = {"version": 1, "data": {}}
    if RESULTS.exists():
        results = json.loads(RESULTS.read_text("utf-8"))
    if options.docs:
        publish("rate", tables(results))
        return
    for name in options.data or DATASETS:
        print(name, file=sys.stderr, flush=True)
        try:
            weights = DATASETS[name]()
        except UnavailableError as reason:
            print(f"  {reason}", file=sys.stderr)
            continue
        peers = [] if name.startswith("template-") else PEERS
        rows = measure(weights, [*methods_for(name, weights), *peers], options.repeats)
        total = sum(weight.size for weight in weights.values())
        results["data"][name] = {
            "weights": total,
            "repeats": options.repeats,
            "machine": machine(),
            "rows": rows,
        }
        results["data"] = {name: results["data"][name] for name in DATASETS if name in results["data"]}
        RESULTS.parent.mkdir(exist_ok=True)
        RESULTS.write_text(json.dumps(results, indent=1) + "\n", "utf-8")
    print(tables(results))


if __name__ == "__main__":
    main()
