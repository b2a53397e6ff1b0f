"""Workers of a dask scheduler: `dask scheduler` on one machine, `dask worker ADDRESS` on each.

Nothing else imports dask.
"""

from __future__ import annotations

import asyncio
import logging
import os
import time
from collections.abc import Callable, Iterator
from concurrent.futures import Future
from contextlib import ExitStack, contextmanager, suppress
from types import TracebackType
from typing import Any

from subbit.errors import SubbitError, UsageError
from subbit.model.workers import tasks
from subbit.model.workers.materials import Materials, forget

__all__ = ["Cluster"]

_ANSWER = 5.0
"""Seconds that a scheduler has to answer, and to have a worker."""
_ALONE = 60.0
"""Seconds without workers after which none is expected any more."""
_OFTEN = 1.0
"""Seconds between questions how many workers there are."""


class Cluster:
    """A client of a scheduler; dask does again what a lost worker had, and takes in workers that come later.

    Jobs and results are pickled between the machines: all of them, and the network between, must be trusted. Raises
    :class:`UsageError` without the package, :class:`SubbitError` (kind "cluster") where nobody answers.
    """

    def __init__(self, address: str) -> None:
        self._address = address
        with ExitStack() as stack:
            stack.enter_context(_silent())
            self._client = stack.enter_context(_connected(address))
            self._jobs = self._client.get_executor(pure=False)
            self._asked = self._seen = time.monotonic()
            self._slots = 0
            self._kept = stack.pop_all()

    def begin(self, materials: Materials) -> None:
        """Ask every worker for its version and whether it sees the input; the first that does not fit is refused."""
        for worker, answer in sorted(self._client.run(tasks.greet, materials, on_error="return").items()):
            if isinstance(answer, Exception) and not isinstance(answer, OSError):  # OSError: it is gone
                raise _refused(worker, answer)

    def slots(self) -> int:
        """The threads of all workers: each does a job at a time."""
        now = time.monotonic()
        if not self._slots or now - self._asked > _OFTEN:
            self._asked, self._slots = now, self._threads()
        return max(self._slots, 1)

    def submit(self, function: Callable[..., Any], *args: Any) -> Future[Any]:
        """Hand a job to the scheduler."""
        future: Future[Any] = self._jobs.submit(_with_one_thread, function, *args)
        return future

    def renew(self) -> None:
        """Nothing: dask's jobs are done again by dask."""

    def check(self) -> None:
        """Raise a :class:`SubbitError` (kind "cluster") if there have been no workers for a minute."""
        if not self._threads() and time.monotonic() - self._seen > _ALONE:
            raise _error("has no workers any more", self._address)

    def explained(self, error: Exception) -> Exception:
        """What a job failed of: it was given up, the scheduler is gone, or a worker has another subbit."""
        if type(error).__name__ == "KilledWorker":
            text = "a tensor's worker was lost again and again"
            return SubbitError(text, kind="cluster", path=self._address, hint="it may need more memory: see its log")
        if type(error).__name__ in ("CancelledError", "FutureCancelledError", "CommClosedError"):
            return _error("the scheduler is gone", self._address)
        return _refused(self._address, error) if isinstance(error, (ImportError, AttributeError)) else error

    def __enter__(self) -> Cluster:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        with self._kept, suppress(Exception):
            if error is None:
                self._client.run(forget)

    def _threads(self) -> int:
        try:
            found: int = sum(self._client.nthreads().values())
        except Exception:
            return 0  # no connection: dask tries again for a while
        if found:
            self._seen = time.monotonic()
        return found


def _with_one_thread(function: Callable[..., Any], *args: Any) -> Any:
    """A job in a worker: as dask sees it a job is a thread, unless who started the worker wants it otherwise."""
    os.environ.setdefault("SUBBIT_THREADS", "1")
    return function(*args)


@contextmanager
def _connected(address: str) -> Iterator[Any]:
    try:
        from distributed import Client
        from distributed.comm import get_address_host_port
    except ImportError:
        text, hint = "clusters need dask.distributed", 'pip install "subbit[cluster]"'
        raise UsageError(text, kind="package", hint=hint) from None
    try:
        get_address_host_port(address)
    except ValueError as error:
        raise UsageError(str(error), kind="cluster", hint="as tcp://host:8786") from None
    try:
        client: Any = Client(address, timeout=_ANSWER, set_as_default=False)
    except OSError:
        raise _error("no scheduler answers", address) from None
    with client:
        try:
            client.wait_for_workers(1, timeout=_ANSWER)
        except asyncio.TimeoutError:  # which Python 3.10 has a class of its own for
            raise _error("the scheduler has no workers", address) from None
        yield client


@contextmanager
def _silent() -> Iterator[None]:
    """Of connections that break dask tells on stderr at length; here they are one line, or nothing at all."""
    before = logging.root.manager.disable
    logging.disable(logging.CRITICAL)
    try:
        yield
    finally:
        logging.disable(before)


def _error(text: str, address: str) -> SubbitError:
    hint = f"dask scheduler on one machine, dask worker {address} on each"
    return SubbitError(text, kind="cluster", path=address, hint=hint)


def _refused(worker: str, error: Exception) -> SubbitError:
    if isinstance(error, SubbitError):
        hint = error.hint or "workers need the same files under the same path: a shared file system"
        return SubbitError(f"{worker}: {error.message}", kind="cluster", path=error.path, hint=hint)
    text = f"{worker}: a worker has no subbit that fits: {type(error).__name__}: {error}"
    return SubbitError(text, kind="cluster", hint="install the same versions everywhere")
