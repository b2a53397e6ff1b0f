"""Try numbered inputs in processes of their own: one that dies, hangs, or wants too much is found and named."""

from __future__ import annotations

import multiprocessing
import os
import resource
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from multiprocessing.connection import Connection
from multiprocessing.sharedctypes import Synchronized
from pathlib import Path
from typing import Any

__all__ = ["Attempt", "Found", "spread"]

Attempt = Callable[[int, Path], list[str]]
"""Tries the input of a number, in a folder for its files; returns what broke the promise."""

MEMORY = 64 << 20
"""Bytes of address space that an input may want, beyond what it states."""
SECONDS = 2.0
"""Of processor time that an input may take."""
_HANGS = 60.0  # seconds
_KEPT = 10


@dataclass
class Found:
    """What came of many inputs."""

    tried: int = 0
    failed: int = 0
    failures: list[str] = field(default_factory=list)
    slowest: float = 0.0
    """Seconds of processor time."""

    def fail(self, text: str) -> None:
        """Count a failure; the first ten are kept."""
        self.failed += 1
        self.failures = [*self.failures, text[:300]][:_KEPT]

    def __add__(self, other: Found) -> Found:
        kept = (self.failures + other.failures)[:_KEPT]
        slowest = max(self.slowest, other.slowest)
        return Found(self.tried + other.tried, self.failed + other.failed, kept, slowest)


def spread(attempt: Attempt, numbers: range, stated: int, warm_up: Callable[[Path], None]) -> Found:
    """Try all numbers, each process its share; `stated` bytes are what an input may state and have on top.

    `warm_up` is called, with a folder, before the memory of a process is limited.
    """
    count = min(len(os.sched_getaffinity(0)), max(len(numbers), 1))
    runs = [_Run((attempt, warm_up, stated), numbers[k::count]) for k in range(count)]
    found = Found()
    while runs:
        time.sleep(0.05)
        for run in list(runs):
            if not run.poll():
                found += run.found
                runs.remove(run)
    return found


class _Run:
    """A share of the numbers, in one process after the other: a new one goes on behind the number that killed it."""

    def __init__(self, work: tuple[Attempt, Callable[[Path], None], int], numbers: range) -> None:
        self.found = Found()
        self._work, self._numbers = work, numbers
        self._start()

    def poll(self) -> bool:
        """Whether it is still at work."""
        while self._pipe.poll():
            try:
                told = self._pipe.recv()
            except EOFError:  # it died
                break
            if isinstance(told, Found):
                self.found += told
                self._process.join()
                return False
            self.found.fail(told)
        if self._at.value != self._last[0]:
            self._last = self._at.value, time.monotonic()
        hangs = time.monotonic() - self._last[1] > _HANGS
        if self._process.is_alive() and not hangs:
            return True
        self._process.kill()
        self._process.join()
        done = self._numbers[: max(self._at.value, 0) + 1]
        self.found += Found(tried=len(done))
        how = f"takes more than {_HANGS:.0f} s" if hangs else f"the process died, exit code {self._process.exitcode}"
        self.found.fail(f"input {done[-1] if done else 'none'}: {how}")
        self._numbers = self._numbers[len(done) :]
        if not self._numbers or not done:
            return False
        self._start()
        return True

    def _start(self) -> None:
        context = multiprocessing.get_context("spawn")
        self._pipe, theirs = context.Pipe(duplex=False)
        self._at: Synchronized[int] = context.Value("q", -1)
        self._last = -1, time.monotonic()
        self._process = context.Process(target=_work, args=(*self._work, self._numbers, self._at, theirs), daemon=True)
        self._process.start()
        theirs.close()


def _work(
    attempt: Attempt, warm_up: Callable[[Path], None], stated: int, numbers: range, at: Any, pipe: Connection
) -> None:
    from benchmarks.trust.seeds import room

    os.environ["SUBBIT_THREADS"] = "1"
    with room() as folder:
        warm_up(Path(folder))
        limit = _address_space() + stated + MEMORY
        resource.setrlimit(resource.RLIMIT_AS, (limit, resource.getrlimit(resource.RLIMIT_AS)[1]))
        slowest = 0.0
        for position, number in enumerate(numbers):
            at.value = position
            start = time.process_time()
            for text in attempt(number, Path(folder)):
                pipe.send(f"input {number}: {text}")
            seconds = time.process_time() - start
            if seconds > SECONDS:
                pipe.send(f"input {number}: took {seconds:.1f} s")
            slowest = max(slowest, seconds)
        pipe.send(Found(tried=len(numbers), slowest=slowest))


def _address_space() -> int:
    return int(Path("/proc/self/statm").read_text("ascii").split()[0]) * resource.getpagesize()
