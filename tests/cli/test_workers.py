"""`--workers`: processes of this machine, one killed half-way, and what they refuse."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import psutil
import pytest

import subbit as library
from subbit.errors import SubbitError, UsageError
from subbit.model.statistics import LayerMoments, Statistics
from subbit.model.workers.handing import results
from subbit.model.workers.processes import Processes
from tests.cli.process import save, subbit

SIDE, COUNT = 64, 8
"""Matrices just large enough to be handed out."""


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A checkpoint, what one process makes of it, and a parent of it."""
    folder = tmp_path_factory.mktemp("workers")
    random = np.random.default_rng(1)
    matrices = {f"layers.{k}.weight": random.standard_normal((SIDE, SIDE)).astype(np.float32) for k in range(COUNT)}
    save(
        folder / "m.safetensors",
        matrices | {"embed_tokens.weight": matrices["layers.0.weight"] + 1, "norm": np.ones(9)},
    )
    few = {name: matrices[name] for name in ("layers.0.weight", "layers.1.weight")}
    save(folder / "few.safetensors", few)
    save(folder / "parent.safetensors", {name: (matrix * 0.9).astype(np.float32) for name, matrix in few.items()})
    subbit("compress", "m.safetensors", "-o", "alone.sbit", cwd=folder).ok()
    return folder


def start(folder: Path, *options: str) -> subprocess.Popen[bytes]:
    """The command in a process of its own, begun but not awaited."""
    return subprocess.Popen(
        [sys.executable, "-m", "subbit_cli", "compress", "m.safetensors", *options], cwd=folder,
        env={**os.environ, "SUBBIT_KERNELS": "plain"}, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE,
    )  # fmt: skip


def tensors_are_done(path: Path) -> None:
    """Wait until a plan and some tensors stand in the journal."""
    journal, sizes, end = path.with_name(path.name + ".partial"), set[int](), time.monotonic() + 60
    while len(sizes) < 5:
        assert time.monotonic() < end
        if journal.exists():
            sizes.add(journal.stat().st_size)
        time.sleep(0.002)


def test_one_killed_half_way_and_the_bytes_are_those_of_one_process(folder: Path) -> None:
    running = start(folder, "--workers", "2", "-o", "killed.sbit")
    tensors_are_done(folder / "killed.sbit")
    workers = [child for child in psutil.Process(running.pid).children() if "spawn_main" in " ".join(child.cmdline())]
    assert len(workers) == 2
    workers[0].kill()
    _, err = running.communicate(timeout=60)
    assert running.returncode == 0, err
    assert (folder / "killed.sbit").read_bytes() == (folder / "alone.sbit").read_bytes()
    assert not (folder / "killed.sbit.partial").exists()


def test_the_whole_command_killed_leaves_no_worker_and_goes_on(folder: Path) -> None:
    running = start(folder, "--workers", "2", "-o", "again.sbit")
    tensors_are_done(folder / "again.sbit")
    workers = psutil.Process(running.pid).children()
    running.send_signal(signal.SIGKILL)
    running.communicate(timeout=60)
    psutil.wait_procs(workers, timeout=10)
    assert not any(worker.is_running() for worker in workers)
    said = subbit("compress", "m.safetensors", "--workers", "3", "-o", "again.sbit", cwd=folder)
    assert "going on where a stopped run was" in said.err
    assert (folder / "again.sbit").read_bytes() == (folder / "alone.sbit").read_bytes()


def test_with_statistics_and_a_parent(folder: Path) -> None:
    random = np.random.default_rng(2)
    inputs = random.standard_normal((1, 200, SIDE)).astype(np.float32)
    moments = inputs.swapaxes(1, 2) @ inputs, random.uniform(0.5, 2, (1, SIDE)).astype(np.float32)
    name = "layers.0.weight"
    Statistics({name: LayerMoments((SIDE, SIDE), name, lambda: moments[0], lambda: moments[1])}).save(folder / "stats")
    options = ("few.safetensors", "--stats", "stats", "--base", "parent.safetensors", "--file-bits", "2")
    subbit("compress", *options, "-o", "one.sbit", cwd=folder).ok()
    subbit("compress", *options, "-o", "two.sbit", "--workers", "2", cwd=folder).ok()
    assert (folder / "one.sbit").read_bytes() == (folder / "two.sbit").read_bytes()


def test_a_tensor_that_a_worker_refuses_is_named(folder: Path) -> None:
    matrix = np.ones((64, 64), np.float32)
    matrix[3, 4] = np.nan
    save(folder / "nan.safetensors", {"a": np.ones((64, 64), np.float32), "b": matrix})
    error = subbit("compress", "nan.safetensors", "--workers", "1", cwd=folder).error()
    assert "'b': has NaN" in error
    assert "--allow-nonfinite" in error
    assert not list(folder.glob("nan.sbit*"))


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
def test_options_that_contradict_each_other(folder: Path, options: tuple[str, ...], said: str) -> None:
    assert said in subbit("compress", "m.safetensors", *options, cwd=folder).error(2)


def test_what_is_in_memory_only_is_not_handed_out(folder: Path) -> None:
    arrays = {"a": np.ones((64, 64), np.float32)}
    for checkpoint, options in [
        (arrays, {}),
        (folder / "m.safetensors", {"base": arrays}),
        (folder / "m.safetensors", {"importance": arrays}),
    ]:
        with pytest.raises(UsageError, match="cannot be handed out to workers"):
            library.compress(checkpoint, folder / "none.sbit", workers=1, **options)
    with pytest.raises(UsageError, match="workers do no work"):
        library.plan(folder / "m.safetensors", workers=0)


def test_workers_that_die_at_once_are_given_up() -> None:
    with Processes(1) as hands, pytest.raises(SubbitError, match="were killed one after the other"):
        list(results(hands, os._exit, [(1,)]))
