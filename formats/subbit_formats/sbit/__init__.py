"""The `.sbit` container: names, shapes, codec ids, knobs and checksummed bytes; SPEC.md is its definition.

Knows no codec and imports no NumPy: reading the index of a file starts fast.
"""

from __future__ import annotations

from subbit_formats.sbit.archive import Archive, Entry, Progress
from subbit_formats.sbit.header import VERSION
from subbit_formats.sbit.reader import Reader
from subbit_formats.sbit.shard_writer import ShardedWriter
from subbit_formats.sbit.shards import FOLDER_NAME, ShardedReader, open_reader
from subbit_formats.sbit.writer import Writer

__all__ = [
    "FOLDER_NAME",
    "VERSION",
    "Archive",
    "Entry",
    "Progress",
    "Reader",
    "ShardedReader",
    "ShardedWriter",
    "Writer",
    "open_reader",
]
