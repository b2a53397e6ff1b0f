"""The command: runs what is missing, stores it, and shows it."""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Sequence
from fnmatch import fnmatchcase

import benchmarks.quality
from benchmarks.quality.jobs import MODELS, Job, all_jobs
from benchmarks.quality.peers import versions
from benchmarks.quality.plot import draw
from benchmarks.quality.run import perform
from benchmarks.quality.store import Results, Run
from benchmarks.quality.summary import summary
from benchmarks.quality.tables import tables
from benchmarks.report import publish


def main(arguments: Sequence[str] | None = None) -> None:
    """Parse, run, show."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.quality",
        description=benchmarks.quality.__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("what", nargs="*", help=f"of {', '.join(MODELS)}, or patterns of jobs; all if none is named")
    parser.add_argument("--list", action="store_true", help="only name the jobs")
    parser.add_argument("--docs", action="store_true", help="only renew the tables in docs/ and the plot")
    options = parser.parse_args(arguments)
    results, jobs = Results(), chosen(options.what)
    if unknown := [pattern for pattern in options.what if not chosen([pattern])]:
        parser.error(f"no such job: {', '.join(unknown)}; --list names them all")
    if options.list:
        print("\n".join(f"{'stored ' if job in results else 'missing'} {job.key}" for job in jobs))
        return
    if options.docs:
        publish("quality", tables(results))
        publish("summary", summary(results))
        draw(results)
        return
    run(results, jobs)
    print(tables(results))


def chosen(patterns: Sequence[str]) -> list[Job]:
    """The jobs whose keys fit a pattern or begin with one as a whole part; all without patterns."""

    def fits(key: str) -> bool:
        return any(fnmatchcase(key, pattern) or key.startswith(f"{pattern}/") for pattern in patterns)

    return [job for job in all_jobs() if not patterns or fits(job.key)]


def run(results: Results, jobs: Sequence[Job]) -> None:
    """One job after the other, each stored when it is done."""
    results.peers = versions()
    missing, start = [job for job in jobs if job not in results], time.monotonic()
    for done, job in enumerate(missing, 1):
        found = perform(job)
        results.add(job, found)
        elapsed = time.monotonic() - start
        print(f"{done}/{len(missing)} {elapsed:5.0f} s  {_line(job, found)}", file=sys.stderr, flush=True)


def _line(job: Job, found: Run) -> str:
    if "unavailable" in found:
        return f"{job.key}: {found['unavailable']}"
    seconds = f"{found['compress_seconds']} s, evaluation {found['evaluate_seconds']} s"
    return f"{job.key}: {found['coded_bits']:.3f} bits, file {found['file_bits']:.3f}; {found['figures']} ({seconds})"


if __name__ == "__main__":
    main()
