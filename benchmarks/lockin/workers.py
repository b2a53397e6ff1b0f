"""Tasks done by processes of one thread each; what they find does not depend on how many there are."""

from __future__ import annotations

import multiprocessing
import os
import threading
from collections.abc import Iterator, Sequence
from concurrent.futures import Future, ProcessPoolExecutor, as_completed
from multiprocessing.process import BaseProcess
from typing import Any

import torch

from benchmarks.lockin import training, wall
from benchmarks.lockin.jobs import Task, Wall

__all__ = ["perform"]

_ONE_THREAD = dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "SUBBIT_THREADS"), "1")


def perform(tasks: Sequence[Task | Wall], workers: int) -> Iterator[tuple[Task | Wall, dict[str, Any]]]:
    """Measure all tasks and yield each with what was found as soon as it is done.

    A task that fails does not stop the others; its error is raised after them. Left early, those that have not begun
    are dropped.
    """
    os.environ.update(_ONE_THREAD)  # for the processes that are spawned now
    context = multiprocessing.get_context("spawn")
    failed: Exception | None = None
    with ProcessPoolExecutor(workers, context, initializer=_start) as pool:
        futures: dict[Future[dict[str, Any]], Task | Wall] = {pool.submit(_measure, task): task for task in tasks}
        try:
            for future in as_completed(futures):
                if (error := future.exception()) is None:
                    yield futures[future], future.result()
                elif isinstance(error, Exception):
                    failed = failed or error
        finally:
            pool.shutdown(wait=False, cancel_futures=True)
    if failed is not None:
        raise failed


def _start() -> None:
    """One thread, so that sums have one order; and no work for a parent that is gone."""
    torch.set_num_threads(1)
    parent = multiprocessing.parent_process()
    assert parent is not None
    threading.Thread(target=_leave_with, args=(parent,), daemon=True).start()


def _leave_with(parent: BaseProcess) -> None:
    parent.join()
    os._exit(1)


def _measure(task: Task | Wall) -> dict[str, Any]:
    return wall.measure(task) if isinstance(task, Wall) else training.measure(task)
