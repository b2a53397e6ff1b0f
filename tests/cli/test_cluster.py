"""`--cluster`: a dask scheduler and its workers as users start them, one killed half-way, and those that do not fit."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import NamedTuple

import pytest

from tests.cli.process import start, subbit, until_tensors_are_done

distributed = pytest.importorskip("distributed")

MAIN = "from dask.__main__ import main; main()"
OLDER = "import subbit.version; subbit.version.__version__ = '0.0.1'; " + MAIN
QUIET = ("--scheduler-file", "at.json", "--no-dashboard")

Process = subprocess.Popen[bytes]


class Cluster(NamedTuple):
    home: Path
    address: str
    scheduler: Process
    workers: list[Process]


@contextmanager
def dask(home: Path, what: str, *options: str, code: str = MAIN) -> Iterator[Process]:
    """A scheduler or a worker, killed at the end."""
    with (home / "log").open("ab") as log:
        running = subprocess.Popen(
            [sys.executable, "-c", code, what, *QUIET, *options], cwd=home, stdout=log, stderr=log
        )
    try:
        yield running
    finally:
        running.kill()
        running.wait()


def worker(home: Path, code: str = MAIN) -> contextmanager[Process]:
    return dask(home, "worker", "--nthreads", "1", "--no-nanny", code=code)


def until_there_are(home: Path, count: int) -> None:
    with distributed.Client(scheduler_file=str(home / "at.json"), set_as_default=False) as client:
        client.wait_for_workers(count, timeout=30)


@pytest.fixture(scope="module")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    """A scheduler and two workers."""
    home = tmp_path_factory.mktemp("cluster")
    with ExitStack() as stack:
        scheduler = stack.enter_context(dask(home, "scheduler", "--host", "127.0.0.1", "--port", "0"))
        workers = [stack.enter_context(worker(home)) for _ in range(2)]
        until_there_are(home, 2)
        yield Cluster(home, json.loads((home / "at.json").read_text())["address"], scheduler, workers)


def test_workers_that_do_not_fit_are_refused(cluster: Cluster, handed: Path) -> None:
    options = ("--cluster", cluster.address, "-o", "none.sbit")
    error = subbit("compress", "/proc/self/cwd/m.safetensors", *options, cwd=handed).error()
    assert "no such file or folder (workers need the same files under the same path" in error
    with worker(cluster.home, OLDER):
        until_there_are(cluster.home, 3)
        error = subbit("compress", "m.safetensors", *options, cwd=handed).error()
    assert "subbit 0.0.1" in error
    assert "install the same versions everywhere" in error
    assert not list(handed.glob("none.sbit*"))


def test_one_killed_half_way_and_the_bytes_are_those_of_one_process(cluster: Cluster, handed: Path) -> None:
    running = start(handed, "--cluster", cluster.address, "-o", "far.sbit")
    until_tensors_are_done(handed / "far.sbit")
    cluster.workers[0].kill()
    _, err = running.communicate(timeout=60)
    assert running.returncode == 0, err
    assert (handed / "far.sbit").read_bytes() == (handed / "alone.sbit").read_bytes()


def test_the_scheduler_killed_and_one_process_goes_on(cluster: Cluster, handed: Path) -> None:
    running = start(handed, "--cluster", cluster.address, "-o", "lost.sbit")
    until_tensors_are_done(handed / "lost.sbit")
    cluster.scheduler.kill()
    _, err = running.communicate(timeout=60)
    assert running.returncode == 1
    assert err.decode().count("\n") == 1
    assert "the scheduler is gone" in err.decode()
    subbit("compress", "m.safetensors", "-o", "lost.sbit", cwd=handed).ok()
    assert (handed / "lost.sbit").read_bytes() == (handed / "alone.sbit").read_bytes()


def test_a_cluster_that_is_none(handed: Path) -> None:
    for address, said, code in [
        ("tcp://127.0.0.1:1", "tcp://127.0.0.1:1: no scheduler answers (dask scheduler", 1),
        ("nonsense", "'nonsense' (as tcp://host:8786)", 2),
        ("smoke://host:1", "'smoke'", 2),
    ]:
        assert said in subbit("compress", "m.safetensors", "--cluster", address, "-o", "n", cwd=handed).error(code)
