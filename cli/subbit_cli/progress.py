"""A progress bar on stderr, and only for people who look at one."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager

__all__ = ["progress_bar"]

_DAY = 86400.0
"""Seconds that the speed is averaged over: what is done counts in time already, and one tensor may take minutes."""


@contextmanager
def progress_bar(quiet: bool) -> Iterator[Callable[[str, int, int, str], None] | None]:
    """Yield what the library calls with (phase, done, total, name); None where stderr is no terminal."""
    if quiet or not sys.stderr.isatty():
        yield None
        return
    from rich.console import Console
    from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn, TimeRemainingColumn

    columns = (
        TextColumn("{task.description:>10}", markup=False),
        BarColumn(),
        TaskProgressColumn(),
        TimeRemainingColumn(),
        TextColumn("{task.fields[item]}", markup=False),
    )
    console = Console(stderr=True)
    with Progress(*columns, console=console, transient=True, speed_estimate_period=_DAY) as bar:
        task = bar.add_task("", total=None, item="")
        current = ""

        def report(phase: str, done: int, total: int, name: str) -> None:
            nonlocal current
            if phase != current:
                bar.reset(task)  # each phase is timed on its own
                current = phase
            bar.update(task, description=phase, completed=done, total=total, item=name)

        yield report
