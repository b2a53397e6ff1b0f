"""Workers as processes of this machine, which share its processors."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable
from concurrent.futures import Future, ProcessPoolExecutor
from multiprocessing import get_context
from multiprocessing.connection import Connection
from threading import Thread
from types import TracebackType
from typing import Any

from subbit.codecs.threads import thread_count
from subbit.model.workers.materials import Materials

__all__ = ["Processes"]


class Processes:
    """So many processes, started by the first job; they end with this one, also if it is killed."""

    def __init__(self, count: int) -> None:
        self._count = count
        self._context = get_context("spawn")  # a fork would have locks of threads that it has not
        self._reader, self._writer = self._context.Pipe(duplex=False)
        self._pool = self._new()

    def begin(self, materials: Materials) -> None:
        """Nothing: versions and paths are those of this process."""

    def slots(self) -> int:
        """A job a process."""
        return self._count

    def submit(self, function: Callable[..., Any], *args: Any) -> Future[Any]:
        """Begin a job; the first ones start the processes."""
        return self._pool.submit(function, *args)

    def renew(self) -> None:
        """All processes anew: where one is killed the pool ends the others."""
        self._pool.shutdown()
        self._pool = self._new()

    def check(self) -> None:
        """Nothing: a process that is gone breaks its jobs."""

    def explained(self, error: Exception) -> Exception:
        """As it is: it comes from the same program."""
        return error

    def __enter__(self) -> Processes:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if error is not None:
            self._writer.close()  # whatever they are at
        self._pool.shutdown(cancel_futures=True)
        self._writer.close()
        self._reader.close()

    def _new(self) -> ProcessPoolExecutor:
        share = max(1, thread_count() // self._count)
        return ProcessPoolExecutor(self._count, self._context, _begin, (self._reader, share))


def _begin(reader: Connection, threads: int) -> None:
    """In each process first: its share of the processors, no interrupts, and the end when the parent's end is here."""
    os.environ["SUBBIT_THREADS"] = str(threads)
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    Thread(target=_end_with, args=(reader,), daemon=True).start()


def _end_with(reader: Connection) -> None:
    try:
        reader.recv_bytes()  # nothing is ever sent: it returns when the other end is closed, by whatever
    except (EOFError, OSError):
        os._exit(1)
