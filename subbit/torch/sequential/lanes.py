"""All batches inside one block at once: each goes up to the next stage, and on when that has its new weights."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from queue import SimpleQueue
from typing import Any, TypeVar

import torch

__all__ = ["Lane", "Workers"]

T = TypeVar("T")


class Lane:
    """A forward pass in a thread of its own, which waits wherever it calls `stop`; `run(stop)` makes the pass.

    `advance` lets it go on and returns what `stop` is called with next, or in the end what `run` returned.
    """

    def __init__(self, run: Callable[[Callable[[Any], None]], Any]) -> None:
        self._run = run
        self._turns: SimpleQueue[bool] = SimpleQueue()
        self._found: SimpleQueue[Any] = SimpleQueue()
        self._thread = threading.Thread(target=self._work, daemon=True)
        self._thread.start()

    def advance(self) -> Any:
        """Go on to the next stop; raises what the pass raised."""
        self._turns.put(True)
        found = self._found.get()
        if isinstance(found, BaseException):
            raise found
        return found

    def close(self) -> None:
        """Give the pass up, wherever it waits."""
        self._turns.put(False)
        self._thread.join()

    def _work(self) -> None:
        torch.set_num_threads(1)  # of this thread: others run beside it
        if self._turns.get():
            try:
                with torch.no_grad():
                    self._found.put(self._run(self._stop))
            except _ClosedError:
                pass
            except BaseException as error:
                self._found.put(error)

    def _stop(self, found: Any) -> None:
        self._found.put(found)
        if not self._turns.get():
            raise _ClosedError


class _ClosedError(Exception):
    """Ends a pass that nobody wants any more."""


class Workers:
    """A few threads that use one core each: passes of a few windows do not fill more."""

    def __init__(self, count: int) -> None:
        self._pool = ThreadPoolExecutor(count, initializer=torch.set_num_threads, initargs=(1,))

    def map(self, task: Callable[[int], T], over: Sequence[Any]) -> Iterator[T]:
        """`task` of every index of `over`, in their order, without gradients."""

        def run(index: int) -> T:
            with torch.no_grad():
                return task(index)

        return self._pool.map(run, range(len(over)))

    def close(self) -> None:
        """Wait for what is under way."""
        self._pool.shutdown(cancel_futures=True)
