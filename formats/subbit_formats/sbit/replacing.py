"""An output takes the place of an older one, file or set of shards, with one rename that decides.

New shards are parked first: `.NAME-00001-of-00002.sbit.HASH`, where readers find them, too. Then the index is
renamed, which makes the set the new one; only then do its shards take their names, and older files go. A process that
is killed before that rename leaves the old set, after it the new one; the next writer tidies up what it left.
"""

from __future__ import annotations

import os
import re
from collections.abc import Collection, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from subbit_formats.errors import SubbitError
from subbit_formats.sbit.atomic import sync_folder, translated
from subbit_formats.sbit.shards import INDEX_SUFFIX, parked, read_index

__all__ = ["alone", "existing", "remove_others", "settle"]

_SHARD = r"-\d{5}-of-\d{5}\.sbit"


@contextmanager
def alone(folder: Path) -> Iterator[None]:
    """Wait until no other writer gives names in this folder, where the system can lock one; nothing is left behind."""
    try:
        import fcntl

        handle = os.open(folder, os.O_RDONLY)
    except (ImportError, OSError):
        yield
        return
    try:
        with suppress(OSError):  # a file system without locks
            fcntl.flock(handle, fcntl.LOCK_EX)
        yield
    finally:
        with suppress(OSError):
            fcntl.flock(handle, fcntl.LOCK_UN)  # also where closing fails and the handle stays
        with suppress(OSError):
            os.close(handle)


def existing(path: Path) -> list[Path]:
    """The files of an earlier output of the same name, whole or in shards: the index before the shards it names."""
    plain = [path, path.with_name(path.name + INDEX_SUFFIX)]
    if path.suffix != ".sbit":  # another format's index may have this name
        return [path] if os.path.lexists(path) else []
    return [file for file in plain if os.path.lexists(file)] + _matching(path, re.escape(path.stem) + _SHARD)


def settle(path: Path) -> None:
    """Give the parked shards of the set that stands under `path` their names, and remove all other parked ones."""
    index = path.with_name(path.name + INDEX_SUFFIX)
    try:
        files = read_index(index)[1].files
    except SubbitError as error:
        if error.kind != "missing":
            return  # nobody can tell what it still needs
        files = {}
    leftovers = set(_matching(path, re.escape(f".{path.stem}") + _SHARD + r"\.[0-9a-f]{32}"))
    for name, file in files.items():
        target = path.with_name(name)
        waiting = parked(target, file.xxh3)
        if waiting in leftovers:
            waiting.replace(target)
            leftovers.remove(waiting)
    for leftover in leftovers:
        leftover.unlink(missing_ok=True)
    if files:
        sync_folder(path.parent)


def remove_others(path: Path, new: Collection[Path]) -> None:
    """What follows once the `new` files of an output are published: they settle, and those of older ones go."""
    with translated(path):
        settle(path)
        for old in existing(path):
            if old not in new:
                old.unlink(missing_ok=True)


def _matching(path: Path, pattern: str) -> list[Path]:
    try:
        names = sorted(os.listdir(path.parent))  # noqa: PTH208 - names, not paths
    except OSError:  # whoever writes there says what is wrong with the folder
        return []
    return [path.with_name(name) for name in names if re.fullmatch(pattern, name)]
