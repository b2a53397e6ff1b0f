from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from benchmarks.trust import guarded
from benchmarks.trust.guard import PLACES
from benchmarks.trust.hostile import hostile

TOUCH = """
import ctypes, sys
from benchmarks.trust.guard import Guard

place, offset = sys.argv[1], int(sys.argv[2])
for _ in range(2):
    array = Guard(place).empty("array", (7, 3), "uint16")
    ctypes.string_at(array.ctypes.data + offset, 1)
"""
EXPAND = """
import sys
import numpy as np
from benchmarks.trust.guard import Guard
from subbit.kernels import kernel

cols, missing = map(int, sys.argv[1:])
codes, scales, out = np.zeros((3 - missing, cols), np.uint8), np.ones((3, 1), np.float32), np.empty((3, cols), "u4")
guard = Guard("end")
with guard.kernels():
    kernel("uniform").expand(codes, 8, scales, 64, out, 0, False)
print(guard.calls, (out.view("f4") == -128).all())
"""


def program(text: str, *arguments: object, **environment: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-c", text, *map(str, arguments)]
    values = os.environ | {"SUBBIT_KERNELS": "compiled"} | environment
    return subprocess.run(command, env=values, capture_output=True, text=True, check=False)


def test_kernels_stay_in_their_arrays() -> None:
    proofs = guarded.prove(0.0001)
    assert [proof.failures for proof in proofs] == [()] * 3
    assert [proof.tried for proof in proofs] == [20, 10, 3]
    more = guarded.run("hostile", "end", 10, 110)
    assert more["failures"] == []
    assert more["accepted"] > 10
    assert more["refused"] > 10
    assert more["calls"] > 200


@pytest.mark.parametrize(("place", "inside", "outside"), [("end", 41, 42), ("start", 0, -1)])
def test_a_byte_too_far_ends_the_process(place: str, inside: int, outside: int) -> None:
    assert place in PLACES
    assert program(TOUCH, place, inside).returncode == 0
    assert program(TOUCH, place, outside).returncode == -signal.SIGSEGV


def test_vectors_that_read_too_far_end_the_process() -> None:
    assert program(EXPAND, 32, 0).stdout == "1 True\n"
    assert program(EXPAND, 32, 1).returncode == -signal.SIGSEGV


def test_checked_indices_are_errors() -> None:
    checked = program(EXPAND, 33, 1, NUMBA_CACHE_DIR=str(guarded.CACHE), **guarded.CHECKED)
    assert "IndexError" in checked.stderr
    assert checked.returncode == 1


def test_a_killed_process_is_a_failure_and_the_rest_goes_on(monkeypatch: pytest.MonkeyPatch) -> None:
    start, killed = subprocess.run, 3

    def run(command: list[str], **options: object) -> object:
        first, stop = map(int, command[-3:-1])
        if first <= killed < stop:
            Path(command[-1]).write_text(f"{killed:<20}")
            command = [sys.executable, "-c", "import os, signal; os.kill(os.getpid(), signal.SIGSEGV)"]
        return start(command, **options)

    monkeypatch.setattr(subprocess, "run", run)
    found = guarded.run("hostile", "end", 0, 8)
    assert found["failures"] == ["hostile end 3 4: ended with -11 "]
    assert found["accepted"] + found["refused"] == 4


def test_a_number_is_always_the_same_tensor() -> None:
    for number in (0, 5, 12345):
        assert hostile(number)[1] == hostile(number)[1]
