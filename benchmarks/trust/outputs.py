"""Small outputs that take the place of others: a file, or a set of so many shards, with a mark in every byte."""

from __future__ import annotations

from pathlib import Path

from subbit_formats.sbit import ShardedWriter, Writer, open_reader

__all__ = ["CHANGES", "in_memory", "name", "read", "readable", "write"]

CHANGES = ((0, 1), (0, 2), (1, 1), (1, 2), (2, 1), (2, 2), (2, 3))
"""Shards before and after: 0 for nothing, 1 for a plain file."""


def write(path: Path, count: int, mark: int, *, force: bool = True) -> None:
    """`count` shards of one tensor each, or one file; nothing for 0."""
    if not count:
        return
    with Writer(path, force=force) if count == 1 else ShardedWriter(path, 1, force=force) as writer:
        for number in range(count):
            sections = {"s": bytes([mark, number]) * 500}
            writer.add(f"w{number}", shape=(1000,), dtype="int8", codec="c", knobs={}, sections=sections)


def read(path: Path) -> tuple[int, int]:
    """How many tensors there are, and their mark; an error where anything is torn or mixed."""
    with open_reader(path) as reader:
        reader.verify()
        sections = [bytes(reader.section(name, "s")) for name in reader.tensors]
    if sections != [bytes([sections[0][0], number]) * 500 for number in range(len(sections))]:
        raise ValueError("tensors of two writes")
    return len(sections), sections[0][0]


def readable(path: Path) -> set[tuple[int, int]]:
    """What each name shows that can be opened: the file, the index."""
    both = (path, path.with_name(path.name + ".index.json"))
    return {read(each) for each in both if each.exists()}


def name(change: tuple[int, int]) -> str:
    """The change in words."""
    words = ("nothing", "a file", "two shards", "three shards")
    return f"{words[change[1]]} over {words[change[0]]}"


def in_memory() -> str | None:
    """Where files are in memory, so that syncing takes no time: for kills and faults it makes no difference."""
    return "/dev/shm" if Path("/dev/shm").is_dir() else None
