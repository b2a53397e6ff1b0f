"""The command: trains what is missing, stores it, and shows it."""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Sequence

import benchmarks.lockin
from benchmarks.lockin.groups import BUDGETS, GROUPS
from benchmarks.lockin.jobs import Task, Wall
from benchmarks.lockin.plots import draw
from benchmarks.lockin.store import Results
from benchmarks.lockin.tables import tables
from benchmarks.lockin.tuning import candidates, control, settings
from benchmarks.lockin.workers import perform
from benchmarks.report import publish


def main(arguments: Sequence[str] | None = None) -> None:
    """Parse, run, show."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.lockin",
        description=benchmarks.lockin.__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument(
        "groups", nargs="*", metavar="GROUP", help=f"of tune, {', '.join(GROUPS)}; all if none is named"
    )
    parser.add_argument("--workers", type=int, default=2, help="processes, of one thread each")
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2])
    parser.add_argument("--steps", type=int, nargs="+", default=[1000, 3000], help="lengths of training")
    parser.add_argument("--plots", action="store_true", help="draw the figures; alone, trains nothing")
    parser.add_argument("--docs", action="store_true", help="renew the tables in docs/; alone, trains nothing")
    options = parser.parse_args(arguments)
    if unknown := set(options.groups) - {"tune", *GROUPS}:
        parser.error(f"no such group: {', '.join(sorted(unknown))}")
    results, lengths = Results(), sorted(options.steps)
    if options.groups or not (options.plots or options.docs):
        run(results, options.groups or list(GROUPS), lengths, options.seeds, options.workers)
    chosen = settings(results, lengths)
    if not chosen:
        parser.error(f"{results.path} has no tuned runs of {lengths[0]} steps yet")
    if options.plots:
        draw(results, chosen)
    if options.docs:
        publish("lockin", tables(results, chosen))
    else:
        print(tables(results, chosen))


def run(results: Results, groups: Sequence[str], lengths: Sequence[int], seeds: Sequence[int], workers: int) -> None:
    """Tune, length after length, then all tasks of the groups together."""
    for number in range(len(lengths)):
        tried = candidates(results, lengths[: number + 1])
        _finish(results, [Task(control(setting), BUDGETS) for setting in tried], workers)
    chosen = settings(results, lengths)
    _finish(results, [task for name in groups if name != "tune" for task in GROUPS[name](chosen, seeds)], workers)


def _finish(results: Results, tasks: Sequence[Task | Wall], workers: int) -> None:
    missing, start = results.missing(tasks), time.monotonic()
    for done, (task, found) in enumerate(perform(missing, workers) if missing else (), 1):
        results.add(task, found)
        elapsed = time.monotonic() - start
        print(f"{done}/{len(missing)} {elapsed:5.0f} s  {_line(task, found)}", file=sys.stderr, flush=True)


def _line(task: Task | Wall, found: dict[str, object]) -> str:
    if isinstance(task, Wall):
        return f"wall {task.model} {found.get('unavailable', '')}"
    job = task.job
    setting = f"seed {job.seed} steps {job.steps} lr {job.learning_rate:g} wd {job.weight_decay:g}"
    return f"{job.label:36} {setting}: test {found['test']:.4f} flips {found['flips']:.1e} ({found['seconds']} s)"


if __name__ == "__main__":
    main()
