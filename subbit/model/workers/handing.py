"""Handing jobs out: workers are kept busy, and a job whose worker was killed is done again."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import FIRST_COMPLETED, BrokenExecutor, Future, wait
from contextlib import suppress
from typing import Any, Protocol

from subbit.errors import SubbitError

__all__ = ["Hands", "results"]

_AT_A_TIME = 2
"""Jobs handed out for each that can be done at once, so that nobody waits for the next."""
_LOOK = 2.0
"""Seconds without a result after which it is asked whether there are workers."""
_TIMES = 3
"""Workers in a row that may be killed without a result."""


class Hands(Protocol):
    """Whoever does jobs: processes here, or a cluster."""

    def slots(self) -> int:
        """How many jobs can be done at once, now."""

    def submit(self, function: Callable[..., Any], *args: Any) -> Future[Any]:
        """Begin a job; a BrokenExecutor, here or as its outcome, where its worker was killed."""

    def renew(self) -> None:
        """Take new workers in place of killed ones."""

    def check(self) -> None:
        """Raise a :class:`SubbitError` if there is nobody left who could go on."""

    def explained(self, error: Exception) -> Exception:
        """What to raise for an error that is no :class:`SubbitError`."""


def results(hands: Hands, function: Callable[..., Any], jobs: Iterable[tuple[Any, ...]]) -> Iterator[Any]:
    """Begin `function(*job)` in the order of the jobs, and yield what comes back as it comes back.

    A few results at most wait to be taken. The first error ends it.
    """
    waiting, running, killed = deque(jobs), dict[Future[Any], tuple[Any, ...]](), 0
    try:
        while waiting or running:
            with suppress(BrokenExecutor):
                while waiting and len(running) < _AT_A_TIME * hands.slots():
                    running[hands.submit(function, *waiting[0])] = waiting[0]
                    waiting.popleft()
            if not running:
                killed += 1
                if killed > _TIMES:
                    raise _killed()
                hands.renew()
                continue
            done, _ = wait(running, timeout=_LOOK, return_when=FIRST_COMPLETED)
            if not done:
                hands.check()
            for future in done:
                job = running.pop(future)
                try:
                    found = future.result()
                except BrokenExecutor:
                    waiting.appendleft(job)
                    continue
                except SubbitError:
                    raise
                except Exception as error:
                    raise hands.explained(error) from error
                killed = 0
                yield found
    finally:
        for future in running:
            future.cancel()


def _killed() -> SubbitError:
    text = f"{_TIMES} workers were killed one after the other"
    return SubbitError(text, kind="workers", hint="fewer of them need less memory; scripts need the usual main guard")
