"""`--workers`: processes of this machine, one killed half-way, and what they refuse."""

from __future__ import annotations

import os
import signal
from pathlib import Path

import numpy as np
import psutil
import pytest

import subbit as library
from subbit.errors import SubbitError, UsageError
from subbit.model.statistics import LayerMoments, Statistics
from subbit.model.workers.handing import results
from subbit.model.workers.processes import Processes
from tests.cli.process import SIDE, save, start, subbit, until_tensors_are_done


def test_one_killed_half_way_and_the_bytes_are_those_of_one_process(handed: Path) -> None:
    running = start(handed, "--workers", "2", "-o", "killed.sbit")
    until_tensors_are_done(handed / "killed.sbit")
    workers = [child for child in psutil.Process(running.pid).children() if "spawn_main" in " ".join(child.cmdline())]
    assert len(workers) == 2
    workers[0].kill()
    _, err = running.communicate(timeout=60)
    assert running.returncode == 0, err
    assert (handed / "killed.sbit").read_bytes() == (handed / "alone.sbit").read_bytes()
    assert not (handed / "killed.sbit.partial").exists()


def test_the_whole_command_killed_leaves_no_worker_and_goes_on(handed: Path) -> None:
    running = start(handed, "--workers", "2", "-o", "again.sbit")
    until_tensors_are_done(handed / "again.sbit")
    workers = psutil.Process(running.pid).children()
    running.send_signal(signal.SIGKILL)
    running.communicate(timeout=60)
    psutil.wait_procs(workers, timeout=10)
    assert not any(worker.is_running() for worker in workers)
    said = subbit("compress", "m.safetensors", "--workers", "3", "-o", "again.sbit", cwd=handed)
    assert "going on where a stopped run was" in said.err
    assert (handed / "again.sbit").read_bytes() == (handed / "alone.sbit").read_bytes()


def test_with_statistics_and_a_parent(handed: Path) -> None:
    random = np.random.default_rng(2)
    inputs = random.standard_normal((1, 200, SIDE)).astype(np.float32)
    moments = inputs.swapaxes(1, 2) @ inputs, random.uniform(0.5, 2, (1, SIDE)).astype(np.float32)
    name = "layers.0.weight"
    Statistics({name: LayerMoments((SIDE, SIDE), name, lambda: moments[0], lambda: moments[1])}).save(handed / "stats")
    options = ("few.safetensors", "--stats", "stats", "--base", "parent.safetensors", "--bits", "1")
    subbit("compress", *options, "-o", "one.sbit", cwd=handed).ok()
    subbit("compress", *options, "-o", "two.sbit", "--workers", "2", cwd=handed).ok()
    assert (handed / "one.sbit").read_bytes() == (handed / "two.sbit").read_bytes()


def test_a_tensor_that_a_worker_refuses_is_named(handed: Path) -> None:
    matrix = np.ones((64, 64), np.float32)
    matrix[3, 4] = np.nan
    save(handed / "nan.safetensors", {"a": np.ones((64, 64), np.float32), "b": matrix})
    error = subbit("compress", "nan.safetensors", "--workers", "1", cwd=handed).error()
    assert "'b': has NaN" in error
    assert "--allow-nonfinite" in error
    assert not list(handed.glob("nan.sbit*"))


def test_without_the_package_it_says_what_to_install(
    handed: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "distributed.py").write_text("raise ImportError")
    monkeypatch.setenv("PYTHONPATH", str(tmp_path), prepend=os.pathsep)
    error = subbit("compress", "m.safetensors", "--cluster", "tcp://127.0.0.1:1", "-o", "no.sbit", cwd=handed).error(2)
    assert error == 'clusters need dask.distributed (pip install "subbit[cluster]")'


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (("--workers", "0"), "0 is not in the range"),
        (("--workers", "2", "--cluster", "tcp://host:1"), "--workers contradicts --cluster"),
        (("--workers", "2", "--no-resume"), "--workers contradicts --no-resume"),
        (("--workers", "2", "--text", "text"), "--workers contradicts --text"),
        (("--cluster", "tcp://host:1", "--text", "text"), "--cluster contradicts --text"),
    ],
)
def test_options_that_contradict_each_other(handed: Path, options: tuple[str, ...], said: str) -> None:
    assert said in subbit("compress", "m.safetensors", *options, cwd=handed).error(2)


def test_what_is_in_memory_only_is_not_handed_out(handed: Path) -> None:
    arrays = {"a": np.ones((64, 64), np.float32)}
    for checkpoint, options in [
        (arrays, {}),
        (handed / "m.safetensors", {"base": arrays}),
        (handed / "m.safetensors", {"importance": arrays}),
    ]:
        with pytest.raises(UsageError, match="cannot be handed out to workers"):
            library.compress(checkpoint, handed / "none.sbit", workers=1, **options)
    with pytest.raises(UsageError, match="workers do no work"):
        library.plan(handed / "m.safetensors", workers=0)


def test_workers_that_die_at_once_are_given_up() -> None:
    with Processes(1) as hands, pytest.raises(SubbitError, match="were killed one after the other"):
        list(results(hands, os._exit, [(1,)]))
