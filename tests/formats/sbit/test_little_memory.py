"""A file that does not fit into memory is refused like any other, whatever was about to be read."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from formats.bad.container_cases import with_extra
from formats.bad.forge import forged
from formats.bad.frames import repeated

PROGRAM = """
import resource, sys
import msgspec, zstandard
from subbit_formats.errors import SubbitError
from subbit_formats.sbit import Reader

path, what = sys.argv[1:]
space = int(open("/proc/self/statm").read().split()[0]) * resource.getpagesize()
resource.setrlimit(resource.RLIMIT_AS, (space + (64 << 20), -1))
try:
    reader = Reader(path)
    reader.extra("config.json") if what == "extra" else reader.verify()
except SubbitError as error:
    print(error.kind, error.path == path)
"""


def index_of_arrays() -> bytes:
    knobs = b",".join([b"[]"] * 4_000_000)
    tensor = b'{"codec":0,"dtype":"int8","name":"a","sections":[],"shape":[]}'
    return forged(b'{"codecs":[{"id":"c","knobs":{"a":[' + knobs + b']}}],"tensors":[' + tensor + b"]}", [])


@pytest.mark.skipif(not Path("/proc/self/statm").exists(), reason="limits of memory are those of Linux")
@pytest.mark.parametrize("what", ["extra", "verify", "index", "map"])
def test_it_is_refused(tmp_path: Path, what: str) -> None:
    path = tmp_path / "large.sbit"
    if what == "map":
        path.touch()
        with path.open("r+b") as file:
            file.truncate(200 << 20)
    else:
        path.write_bytes(index_of_arrays() if what == "index" else with_extra(repeated(2**29), 2**29))
    command = [sys.executable, "-c", PROGRAM, str(path), what]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)
    assert (done.stdout, done.stderr) == ("memory True\n", "")
