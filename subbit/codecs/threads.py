"""Work in parallel: threads that wait for it, so that handing it out costs microseconds."""

from __future__ import annotations

import os
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import cache
from threading import Lock, Semaphore

__all__ = ["parallel", "thread_count"]


def thread_count() -> int:
    """Threads to use: SUBBIT_THREADS, else the processors that this process might run on when it was first asked."""
    chosen = os.environ.get("SUBBIT_THREADS", "")
    return int(chosen) if chosen.isdigit() and int(chosen) > 0 else _processors()


def parallel(task: Callable[[int], None], count: int) -> None:
    """Run `task(0) … task(count - 1)`, on several threads where that can pay; the first error is raised.

    The caller works as well, and takes all that no other thread is free for: tasks may call this themselves.
    """
    helpers = min(thread_count(), count) - 1
    if helpers < 1:
        for index in range(count):
            task(index)
        return
    indices, lock, errors = iter(range(count)), Lock(), dict[int, BaseException]()

    def work() -> None:
        while not errors:
            with lock:
                index = next(indices, None)
            if index is None:
                return
            try:
                task(index)
            except BaseException as error:
                errors[index] = error

    pool, free = _pool(thread_count() - 1)
    helping = []
    for _ in range(helpers):
        if not free.acquire(blocking=False):  # a queue of calls that nobody is free for would hold all their arrays
            break
        try:
            helping.append(pool.submit(work))
        except RuntimeError:  # no memory for another thread: the caller does without
            free.release()
            break
        helping[-1].add_done_callback(lambda _: free.release())
    work()
    for each in helping:
        if not each.cancel():
            each.result()
    if errors:
        raise errors[min(errors)]


@cache
def _processors() -> int:
    try:
        return len(os.sched_getaffinity(0))
    except AttributeError:
        return os.cpu_count() or 1


@cache
def _pool(helpers: int) -> tuple[ThreadPoolExecutor, Semaphore]:
    """Threads, and how many of them have nothing to do."""
    return ThreadPoolExecutor(helpers, thread_name_prefix="subbit"), Semaphore(helpers)


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_pool.cache_clear)  # a child has none of the threads
