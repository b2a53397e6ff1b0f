from __future__ import annotations

import os
import time
from pathlib import Path

import numpy as np
import pytest

from benchmarks.trust import fuzz
from benchmarks.trust.forgery import forgery
from benchmarks.trust.victim import complaint
from benchmarks.trust.workers import spread
from subbit.errors import SubbitError, UsageError
from subbit_formats.sbit import Reader


def test_only_complete_errors_leave_the_reader() -> None:
    found = fuzz.opened(30_000)
    assert (found.tried, found.failures) == (30_000, [])


def test_only_complete_errors_leave_the_decoders_and_kernels_agree() -> None:
    found = fuzz.used(1500)
    assert (found.tried, found.failures) == (1500, [])


def test_only_complete_errors_leave_sets_of_shards() -> None:
    found = fuzz.sharded(1000)
    assert (found.tried, found.failures) == (1000, [])


def test_forgeries_get_behind_the_checksums(tmp_path: Path) -> None:
    whole = 0
    for number in range(300):
        path = tmp_path / "f.sbit"
        path.write_bytes(forgery(number))
        assert path.read_bytes() == forgery(number)
        try:
            with Reader(path) as reader:
                reader.verify()
            whole += 1
        except SubbitError as error:
            assert error.kind not in ("index-checksum", "body-checksum", "header")  # noqa: PT017
    assert whole > 100


@pytest.mark.parametrize(
    "error",
    [
        MemoryError(),
        RecursionError(),
        SubbitError("no way out", kind="section", path="f"),
        SubbitError("no path", kind="section", hint="h"),
        SubbitError("out of memory", kind="memory", path="f", hint="h"),
        UsageError("not the caller's fault", kind="knobs", path="f", hint="h"),
    ],
)
def test_what_is_complained_of(error: Exception) -> None:
    assert complaint(error)


def test_a_complete_error_is_fine() -> None:
    assert complaint(SubbitError("m", kind="section", path="f", hint="h")) is None


def planted(number: int, folder: Path) -> list[str]:
    """Misbehaves at some numbers."""
    try:
        {
            1: lambda: np.ones(100 << 20, np.uint8),
            3: lambda: os.abort(),
            5: lambda: busy(2.5),
        }.get(number, int)()
    except MemoryError:
        return ["memory"]
    return ["seven"] if number == 7 else []


def busy(seconds: float) -> None:
    end = time.process_time() + seconds
    while time.process_time() < end:
        pass


def nothing(_: Path) -> None:
    """No warming up."""


def test_workers_notice_memory_time_and_death() -> None:
    found = spread(planted, range(9), 0, nothing)
    assert found.tried == 9
    told = sorted(found.failures)
    assert found.failed == 4
    assert told[0] == "input 1: memory"
    assert told[1].startswith("input 3: the process died")
    assert told[2].startswith("input 5: took 2.")
    assert told[3] == "input 7: seven"
