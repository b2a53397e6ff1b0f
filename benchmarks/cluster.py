"""Compressing with workers beside one process, what a weight and a task cost, and what larger models would take.

python -m benchmarks.cluster [--turns 3] [--megaweights 120]    measure, print, write results/cluster.json; 7 minutes
python -m benchmarks.cluster --docs                             put its tables into docs/

Runs are whole commands, start of Python and of workers included, by turns: one process as it comes, one process with
one thread, two workers. Costs are those of one thread at the trellises that models of more than half a billion weights
get. `cluster_simulated` computes the rest from them.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np

from benchmarks.cluster_simulated import MODELS, WORKERS, Costs, simulate
from benchmarks.rate import machine
from benchmarks.report import publish

ROOT = Path(__file__).parent.parent
RESULTS = Path(__file__).parent / "results" / "cluster.json"
SIDE, COSTED, STATES = 1024, 2048, 10
RUNS = {"one process": (), "one thread": (), "two workers": ("--workers", "2")}
BITS, PROFILES = 0.8, ("size", "speed")
TASKS, KEPT, LARGE, LARGE_KEPT = 300, 2000, 8 << 20, 20


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.cluster", description=__doc__.split("\n")[0])
    parser.add_argument("--turns", type=int, default=3)
    parser.add_argument("--megaweights", type=int, default=120)
    parser.add_argument("--docs", action="store_true", help="only put the stored tables into docs/")
    parser.add_argument("--peak", metavar="FILE", help=argparse.SUPPRESS)
    options = parser.parse_args(arguments)
    if options.peak is not None:
        print(_peak(options.peak))
        return
    if options.docs:
        publish("cluster", tables(json.loads(RESULTS.read_text("utf-8"))))
        return
    with TemporaryDirectory() as folder:
        results = measure(Path(folder), options.turns, options.megaweights)
    RESULTS.write_text(json.dumps(results, indent=1) + "\n", "utf-8")
    print(tables(results))


def measure(folder: Path, turns: int, megaweights: int, side: int = COSTED) -> dict[str, Any]:
    before = os.getloadavg()[0]
    runs = by_turns(folder, turns, megaweights)
    load = os.getloadavg()[0]
    return {
        "version": 1, "machine": machine(), "turns": turns, "load": {"before": before, "after": load}, "runs": runs,
        "costs": {profile: asdict(costs(folder, profile, side)) for profile in PROFILES},
    }  # fmt: skip


def by_turns(folder: Path, turns: int, megaweights: int) -> dict[str, Any]:
    """Seconds of every run, how many times as fast as the others two workers are, and whether all bytes are equal."""
    count = max(megaweights * 10**6 // SIDE**2, 1)
    checkpoint = write(folder / "model.safetensors", {f"layers.{k}.weight": (SIDE, SIDE) for k in range(count)})
    seconds: dict[str, list[float]] = {name: [] for name in RUNS}
    files = set()
    for _ in range(turns):
        for name, options in RUNS.items():
            start = time.perf_counter()
            command = [sys.executable, "-m", "subbit_cli", "compress", str(checkpoint), "-o", str(folder / "m.sbit")]
            one = {"SUBBIT_THREADS": "1"} if name == "one thread" else {}
            subprocess.run([*command, "-q", "--force", *options], env=os.environ | one, check=True, capture_output=True)
            seconds[name].append(time.perf_counter() - start)
            files.add((folder / "m.sbit").read_bytes())
    workers = seconds["two workers"]
    times = {
        name: statistics.median(other / own for other, own in zip(seconds[name], workers, strict=True)) for name in RUNS
    }
    return {"weights": count * SIDE**2, "seconds": seconds, "times": times, "identical": len(files) == 1}


def costs(folder: Path, profile: str, side: int) -> Costs:
    """What a worker and the coordinator take, in one thread."""
    from subbit.codecs import Uniform
    from subbit.model.workers import tasks
    from subbit.planning import Coverage, Look, Measured, Rule
    from subbit.planning.curves import Wanted

    os.environ["SUBBIT_THREADS"] = "1"
    materials = _materials(write(folder / f"{side}.safetensors", {"a.weight": (side, side), "b.weight": (side, side)}))
    wanted = Wanted("auto", profile, 6 * BITS, STATES)
    look = Look(Coverage(), wanted, wanted)
    (_, found), _ = tasks.look(materials, "a.weight", look)
    assert isinstance(found, Measured)
    point = min((p for p in found.curve.points if p.bits <= BITS * side * side), key=lambda p: p.distortion)
    coded, kept = Rule("*", found.curve.codec(point)), Rule("*", Uniform(8))
    for rule in (coded, kept):
        tasks.encode(materials, "a.weight", rule, False)  # compiles
    return Costs(
        look=_seconds(lambda: tasks.look(materials, "b.weight", look)) / side**2,
        encode=_seconds(lambda: tasks.encode(materials, "b.weight", coded, False)) / side**2,
        embedding=_seconds(lambda: tasks.encode(materials, "b.weight", kept, False)) / side**2,
        bits=BITS, task=handing(materials), **keeping(folder), **peaks(folder, side),
    )  # fmt: skip


def handing(materials: Any) -> float:
    """Seconds a task that does nothing, through a dask scheduler with two workers."""
    from distributed import LocalCluster

    from subbit.model.workers import tasks
    from subbit.model.workers.cluster import Cluster
    from subbit.model.workers.handing import results

    local = LocalCluster(n_workers=2, threads_per_worker=1, memory_limit=None, dashboard_address=None)
    with local, Cluster(local.scheduler_address) as hands:
        list(results(hands, tasks.greet, [(materials,)] * 20))
        return _seconds(lambda: list(results(hands, tasks.greet, [(materials,)] * TASKS))) / TASKS


def keeping(folder: Path) -> dict[str, float]:
    """Seconds a tensor, and a byte, in which the coordinator keeps results, takes them again and writes the file."""
    from subbit.model.journal import Journal
    from subbit.model.report import TensorReport
    from subbit.records import Encoded
    from subbit_formats.sbit import Writer

    def keep(count: int, size: int) -> float:
        data, shape = np.random.default_rng(0).bytes(size), (1, size)
        path = folder / "kept.sbit"
        with Journal(path) as journal, Writer(path, {}, force=True) as writer:
            journal.begin({})
            start = time.perf_counter()
            for name in (f"{k:09}" for k in range(count)):
                row = TensorReport(name, shape, "dense", False, 0, 0.0)
                journal.keep(Encoded("dense", {}, shape, "uint8", {"data": data}), row)
                encoded, _ = journal.take(name)
                writer.add(name, shape=shape, dtype="uint8", codec="dense", knobs={}, sections=encoded.sections)
        return (time.perf_counter() - start) / count

    small, large = keep(KEPT, 64), keep(LARGE_KEPT, LARGE)
    return {"tensor": small, "stored": max(large - small, 0.0) / LARGE}


def peaks(folder: Path, side: int) -> dict[str, float]:
    """Bytes that a worker takes at rest, and for each weight of a tensor: the line through two sizes."""
    found = []
    for each in (side, 2 * side):
        path = write(folder / f"peak{each}.safetensors", {"a.weight": (each, each)})
        command = [sys.executable, "-m", "benchmarks.cluster", "--peak", str(path)]
        environment = os.environ | {"SUBBIT_THREADS": "1"}
        run = subprocess.run(command, env=environment, check=True, capture_output=True, text=True, cwd=ROOT)
        found.append(int(run.stdout))
    weight = (found[1] - found[0]) / (3 * side**2)
    return {"resident": found[0] - weight * side**2, "weight": weight}


def _peak(path: str) -> int:
    """Bytes at most of this process while it looks at the one tensor of a file and encodes it."""
    from subbit.codecs import Trellis
    from subbit.model.workers import tasks
    from subbit.planning import Coverage, Look, Rule
    from subbit.planning.curves import Wanted

    materials, wanted = _materials(Path(path)), Wanted("auto", "size", 6 * BITS, STATES)
    tasks.look(materials, "a.weight", Look(Coverage(), wanted, wanted))
    tasks.encode(materials, "a.weight", Rule("*", Trellis(BITS, state_bits=STATES)), False)
    status = Path("/proc/self/status").read_text("ascii")
    return 1024 * next(int(line.split()[1]) for line in status.splitlines() if line.startswith("VmHWM"))


def write(path: Path, shapes: Mapping[str, tuple[int, int]]) -> Path:
    """Normal weights as float16: reading bfloat16 takes as long."""
    from subbit_formats.safetensors_writer import SafetensorsWriter

    random = np.random.default_rng(0)
    with SafetensorsWriter(path, {name: ("float16", shape) for name, shape in shapes.items()}, force=True) as writer:
        for name in writer.names:
            writer.write((random.standard_normal(shapes[name], np.float32) * 0.02).astype(np.float16))
    return path


def _materials(path: Path) -> Any:
    from subbit.model.workers import Materials
    from subbit_formats.sources import open_source

    with open_source(path) as source:
        return Materials.of(path, None, None, source)


def _seconds(run: Callable[[], object]) -> float:
    start = time.perf_counter()
    run()
    return time.perf_counter() - start


def tables(results: Mapping[str, Any]) -> str:
    """What was measured as two lines, and a table a profile: models down, workers across."""
    runs, load = results["runs"], results["load"]
    one, default = (runs["times"][name] for name in ("one thread", "one process"))
    same = "identical" if runs["identical"] else "NOT IDENTICAL"
    parts = [
        f"Two workers: {one:.2f} × as fast as one thread, {default:.2f} × as fast as one process as it comes; "
        f"{runs['weights']:,} weights, bytes {same}, load {load['before']:.2f} before, {load['after']:.2f} after."
    ]
    heads = " | ".join(f"{workers} worker{'s' * (workers > 1)}" for workers in WORKERS)
    for profile, measured in results["costs"].items():
        found = Costs(**measured)
        lines = [
            f"`--for {profile}`: {1e9 * found.look:.0f} ns a weight to plan, {1e9 * found.encode:.0f} to encode, "
            f"{1e3 * found.task:.1f} ms a task, {1e3 * found.tensor:.2f} ms a tensor to keep and write",
            "",
            f"| weights | {heads} | memory a worker |",
            "|---|" + "---:|" * (len(WORKERS) + 1),
        ]
        for model, shapes in MODELS.items():
            outcomes = [simulate(shapes, workers, found) for workers in WORKERS]
            cells = [f"{_time(outcome.seconds)}, {outcome.limit}" for outcome in outcomes]
            lines.append(f"| {model} | {' | '.join(cells)} | {outcomes[0].memory / 1e9:.1f} GB |")
        parts.append("\n".join(lines))
    return "\n\n".join(parts)


def _time(seconds: float) -> str:
    return f"{seconds / 60:.0f} min" if seconds < 2 * 3600 else f"{seconds / 3600:.0f} h"


if __name__ == "__main__":
    main()
