from __future__ import annotations

import multiprocessing
import os
import subprocess
import sys
import threading
import time
import weakref

import pytest

from subbit.codecs.threads import parallel, thread_count


@pytest.fixture(autouse=True)
def four(monkeypatch):
    monkeypatch.setenv("SUBBIT_THREADS", "4")


def squares(count: int) -> list[int]:
    found = [0] * count

    def task(index: int) -> None:
        found[index] = index * index

    parallel(task, count)
    return found


@pytest.mark.parametrize("threads", ["1", "2", "4", "9"])
@pytest.mark.parametrize("count", [0, 1, 2, 100])
def test_every_task_runs_once(threads, count, monkeypatch):
    monkeypatch.setenv("SUBBIT_THREADS", threads)
    assert squares(count) == [index * index for index in range(count)]


def test_several_threads_take_part():
    barrier = threading.Barrier(4, timeout=60)
    parallel(lambda index: [barrier.wait()].clear(), 4)  # four wait for each other


def test_the_first_error_is_raised_and_no_further_task_begins():
    begun = []

    def task(index: int) -> None:
        begun.append(index)
        time.sleep(0.01)
        if index in (2, 3):
            raise ValueError(index)

    with pytest.raises(ValueError, match="2"):
        parallel(task, 1000)
    assert len(begun) < 20
    assert squares(9)[8] == 64


def test_tasks_may_be_parallel_themselves():
    def outer(index: int) -> None:
        parallel(lambda _: parallel(lambda _: time.sleep(0.001), 3), 5)

    parallel(outer, 7)


def test_callers_on_many_threads():
    found: list[list[int]] = []
    callers = [threading.Thread(target=lambda: found.append(squares(50))) for _ in range(16)]
    for caller in callers:
        caller.start()
    for caller in callers:
        caller.join(60)
    assert found == [squares(50)] * 16


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork")
@pytest.mark.filterwarnings("ignore:.*fork.*:DeprecationWarning")
def test_a_child_has_threads_of_its_own():
    squares(8)
    with multiprocessing.get_context("fork").Pool(2) as pool:
        assert pool.map_async(squares, [8, 9]).get(60) == [squares(8), squares(9)]


def test_a_process_that_used_them_ends_by_itself():
    code = "from subbit.codecs.threads import parallel; done = []; parallel(done.append, 4); print(sorted(done))"
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=True)
    assert found.stdout == "[0, 1, 2, 3]\n"


def test_thread_count(monkeypatch):
    assert thread_count() == 4
    for text in ("", "0", "-1", "x"):
        monkeypatch.setenv("SUBBIT_THREADS", text)
        assert 1 <= thread_count() <= (os.cpu_count() or 1)


def test_where_no_thread_can_start_the_caller_does_it_all(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object) -> None:
        raise RuntimeError("can't start new thread")

    monkeypatch.setenv("SUBBIT_THREADS", "7")
    monkeypatch.setattr("concurrent.futures.ThreadPoolExecutor.submit", refuse)
    seen: list[int] = []
    parallel(seen.append, 20)
    assert sorted(seen) == list(range(20))


def test_calls_that_nobody_is_free_for_leave_nothing_behind(monkeypatch):
    monkeypatch.setenv("SUBBIT_THREADS", "2")
    done, left = threading.Event(), []

    class Held:
        """Stands for the arrays of a task."""

    def inner() -> weakref.ref:
        held = Held()
        parallel(lambda _: held, 3)
        return weakref.ref(held)

    def outer(index: int) -> None:
        if index:
            left.append(inner()())
            done.set()
        else:
            assert done.wait(60)

    parallel(outer, 2)
    assert left == [None]
