"""Whatever happens while a file is written, its name shows the old content or the new one."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import textwrap
import time
from pathlib import Path

import pytest

from subbit_formats.errors import SubbitError, UsageError
from subbit_formats.sbit import Reader, ShardedWriter, Writer

posix = pytest.mark.skipif(os.name != "posix", reason="signals and resource limits")


def write(path: Path, data: bytes = b"new", *, force: bool = False) -> None:
    with Writer(path, force=force) as writer:
        writer.add("a", shape=(3,), dtype="int8", codec="c", knobs={}, sections={"s": data})


def content(path: Path) -> bytes:
    with Reader(path) as reader:
        reader.verify()
        return bytes(reader.section("a", "s"))


def python(code: str, *arguments: object) -> subprocess.Popen[str]:
    command = [sys.executable, "-c", textwrap.dedent(code), *map(str, arguments)]
    return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


def test_an_exception_leaves_the_old_file_and_nothing_else(tmp_path: Path) -> None:
    path = tmp_path / "m.sbit"
    write(path, b"old")
    for error in (RuntimeError, KeyboardInterrupt):
        with pytest.raises(error), Writer(path, force=True) as writer:  # noqa: PT012
            writer.add("a", shape=(3,), dtype="int8", codec="c", knobs={}, sections={"s": b"new"})
            raise error
    assert content(path) == b"old"
    assert list(tmp_path.iterdir()) == [path]


def test_nothing_is_overwritten_without_force(tmp_path: Path) -> None:
    path = tmp_path / "m.sbit"
    write(path, b"old")
    with pytest.raises(UsageError) as caught:
        write(path)
    assert (caught.value.kind, content(path)) == ("exists", b"old")
    write(path, force=True)
    assert content(path) == b"new"
    assert list(tmp_path.iterdir()) == [path]


@pytest.mark.parametrize("links", [True, False])
def test_whoever_was_faster_is_not_overwritten(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, links: bool) -> None:
    def no_links(*_: object) -> None:
        raise PermissionError

    if not links:
        monkeypatch.setattr(os, "link", no_links)
    path = tmp_path / "m.sbit"
    with pytest.raises(UsageError), Writer(path):
        write(path, b"old")
    assert content(path) == b"old"
    assert list(tmp_path.iterdir()) == [path]


def test_two_processes_write_one_name(tmp_path: Path) -> None:
    code = """
        import sys
        from subbit_formats.sbit import Writer
        with Writer(sys.argv[1], force=True) as writer:
            for k in range(50):
                data = sys.argv[2].encode() * 50_000
                writer.add(f"{k:02}", shape=(1,), dtype="int8", codec="c", knobs={}, sections={"s": data})
    """
    path = tmp_path / "m.sbit"
    writers = [python(code, path, letter) for letter in "xy"]
    assert [writer.wait(60) for writer in writers] == [0, 0]
    for writer in writers:
        writer.communicate()
    with Reader(path) as reader:
        reader.verify()
    assert list(tmp_path.iterdir()) == [path]


@posix
def test_a_killed_writer_leaves_the_old_file_and_the_next_one_sweeps(tmp_path: Path) -> None:
    code = """
        import sys, time
        from subbit_formats.sbit import Writer
        with Writer(sys.argv[1], force=True) as writer:
            writer.add("a", shape=(1,), dtype="int8", codec="c", knobs={}, sections={"s": bytes(10**7)})
            print("half", flush=True)
            time.sleep(60)
    """
    path = tmp_path / "m.sbit"
    write(path, b"old")
    writer = python(code, path)
    assert writer.stdout is not None
    assert writer.stdout.readline() == "half\n"
    with pytest.raises(UsageError):
        write(path)
    assert len(list(tmp_path.iterdir())) == 2, "the temporary file of a living writer is left alone"
    writer.send_signal(signal.SIGKILL)
    writer.communicate()
    assert content(path) == b"old"
    write(path, force=True)
    assert content(path) == b"new"
    assert list(tmp_path.iterdir()) == [path]


def test_old_temporary_files_are_swept_and_others_kept(tmp_path: Path) -> None:
    old, young, other = (tmp_path / f".{name}.tmp-{os.getpid()}-{'0' * 16}" for name in ("m.sbit", "m2.sbit", "x"))
    for path in (old, young, other):
        path.touch()
    os.utime(old, (time.time() - 90_000,) * 2)
    os.utime(other, (0, 0))
    write(tmp_path / "m.sbit")
    write(tmp_path / "m2.sbit")
    assert not old.exists()
    assert young.exists()
    assert other.exists()


@posix
@pytest.mark.parametrize("writer", ["Writer(path)", "ShardedWriter(path, 10**5)"])
def test_a_full_disk(tmp_path: Path, writer: str) -> None:
    code = f"""
        import resource, sys
        from subbit_formats.errors import SubbitError
        from subbit_formats.sbit import ShardedWriter, Writer
        resource.setrlimit(resource.RLIMIT_FSIZE, (2_000_000, 2_000_000))
        path = sys.argv[1]
        try:
            with {writer} as writer:
                for k in range(9):
                    data = bytes(90_000 if k < 8 else 3_000_000)
                    parts = {{"s": data}}
                    writer.add(str(k), shape=(1,), dtype="int8", codec="c", knobs={{}}, sections=parts)
        except SubbitError as error:
            print(error.kind, error.path == path)
    """
    process = python(code, tmp_path / "m.sbit")
    out, err = process.communicate(timeout=60)
    assert out == "disk-full True\n", err
    assert list(tmp_path.iterdir()) == []


def test_what_cannot_be_written(tmp_path: Path) -> None:
    with pytest.raises(SubbitError) as caught:
        write(tmp_path / "none" / "m.sbit")
    assert caught.value.kind == "unwritable"
    for force in (False, True):
        with pytest.raises(UsageError, match="not a regular file"):
            write(tmp_path, force=force)
    with pytest.raises(SubbitError):
        ShardedWriter(tmp_path / "none" / "m.sbit", 10**6)


def test_no_memory_for_the_buffer_leaves_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(handle: int, *_: object, **__: object) -> None:
        os.close(handle)
        raise MemoryError

    monkeypatch.setattr(os, "fdopen", refuse)
    with pytest.raises(SubbitError) as caught:
        write(tmp_path / "m.sbit")
    assert caught.value.kind == "memory"
    assert list(tmp_path.iterdir()) == []
