"""An output takes the place of another, file or set, and ends anywhere: the old one or the new one is there."""

from __future__ import annotations

import errno
import itertools
import os
from contextlib import nullcontext, suppress
from pathlib import Path

import pytest

from benchmarks.trust.outputs import CHANGES, read, readable, write
from subbit_formats.errors import SubbitError, UsageError
from subbit_formats.sbit import Writer, open_reader
from subbit_formats.sbit import replacing as module
from subbit_formats.sbit.atomic import AtomicFile


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def fail_at(monkeypatch: pytest.MonkeyPatch, number: int) -> list[str]:
    """Let the renaming or removing of that number fail, and all after it: nothing can be undone either."""
    calls: list[str] = []
    for name in ("replace", "unlink"):
        real = getattr(Path, name)

        def call(path: Path, *arguments: object, real=real, name=name, **options: object) -> object:  # type: ignore[no-untyped-def]
            calls.append(name)
            if len(calls) >= number:
                raise OSError(errno.EIO, "no")
            return real(path, *arguments, **options)

        monkeypatch.setattr(Path, name, call)
    return calls


@pytest.mark.parametrize(("old", "new"), CHANGES[2:])
def test_old_or_new_wherever_it_ends(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, old: int, new: int) -> None:
    seen = set()
    for number in itertools.count(1):
        folder = tmp_path / str(number)
        folder.mkdir()
        path = folder / "m.sbit"
        write(path, old, 1)
        with monkeypatch.context() as patch:
            calls = fail_at(patch, number)
            with suppress(SubbitError):
                write(path, new, 2)
            if len(calls) < number:
                break
        found = readable(path)
        assert found <= {(old, 1), (new, 2)}
        assert found
        seen |= found
        write(path, new, 3)
        assert readable(path) == {(new, 3)}
        left = [name for name in names(folder) if ".tmp-" not in name]  # this process lives
        assert len(left) == (1 if new == 1 else new + 1), "what was left is swept"
    assert seen == {(old, 1), (new, 2)}
    assert number > 2


def test_shards_that_are_parked_are_read_and_settled_by_the_next_writer(tmp_path: Path) -> None:
    path = tmp_path / "m.sbit"
    write(path, 3, 1)
    for shard in sorted(tmp_path.glob("m-*.sbit")):
        with open_reader(shard) as reader:
            shard.rename(tmp_path / f".{shard.name}.{reader.body_hash.hex()}")  # type: ignore[attr-defined]
    (tmp_path / f".m-00001-of-00003.sbit.{'0' * 32}").touch()
    assert read(path) == (3, 1)
    with pytest.raises(UsageError, match="exists already"):
        write(path, 3, 2, force=False)
    assert names(tmp_path) == [
        *(f"m-0000{number}-of-00003.sbit" for number in (1, 2, 3)), "m.sbit.index.json",
    ]  # fmt: skip
    assert read(path) == (3, 1)


def test_a_file_takes_the_place_of_a_set_only_by_force(tmp_path: Path) -> None:
    path = tmp_path / "m.sbit"
    write(path, 2, 1)
    with pytest.raises(UsageError, match="exists already"):
        write(path, 1, 2, force=False)
    assert read(path) == (2, 1)
    write(path, 1, 2)
    assert names(tmp_path) == ["m.sbit"]


def test_files_of_other_formats_are_no_older_output(tmp_path: Path) -> None:
    index = tmp_path / "model.safetensors.index.json"
    index.touch()
    (tmp_path / "model-00001-of-00002.sbit").touch()
    with Writer(tmp_path / "model.safetensors", force=True):
        pass
    assert index.exists()
    assert len(names(tmp_path)) == 3


@pytest.mark.skipif(os.name != "posix", reason="locks")
def test_a_handle_that_cannot_be_closed_locks_nobody_out(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import fcntl

    def refuse(handle: int) -> None:
        kept.append(handle)
        raise OSError(errno.EIO, "no")

    kept: list[int] = []
    with monkeypatch.context() as patch:
        patch.setattr(os, "close", refuse)
        with module.alone(tmp_path):
            pass
    (handle,) = kept
    other = os.open(tmp_path, os.O_RDONLY)
    fcntl.flock(other, fcntl.LOCK_EX | fcntl.LOCK_NB)
    os.close(other)
    os.close(handle)


def test_a_damaged_index_keeps_what_it_may_need(tmp_path: Path) -> None:
    (tmp_path / "m.sbit.index.json").write_text("{")
    parked = tmp_path / f".m-00001-of-00002.sbit.{'0' * 32}"
    parked.touch()
    module.settle(tmp_path / "m.sbit")
    assert parked.exists()
    (tmp_path / "m.sbit.index.json").unlink()
    module.settle(tmp_path / "m.sbit")
    assert not parked.exists()


@pytest.mark.parametrize(("number", "told"), [(errno.EINVAL, False), (errno.EIO, True)])
def test_a_disk_that_fails_to_sync_a_folder_is_reported(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, number: int, told: bool
) -> None:
    file = AtomicFile(tmp_path / "m", force=False)
    file.sync()

    def fail(_: int) -> None:
        raise OSError(number, "no")

    monkeypatch.setattr(os, "fsync", fail)
    with pytest.raises(SubbitError, match="cannot be written") if told else nullcontext():
        file.publish()
    file.discard()
    assert names(tmp_path) == ["m"], "it is there; what is told is that it may not survive a power cut"
