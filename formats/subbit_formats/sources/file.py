"""One checkpoint file: what it is, is told by its first bytes and not by its name."""

from __future__ import annotations

from pathlib import Path

from subbit_formats.errors import SubbitError
from subbit_formats.sources.source import Source

__all__ = ["EXPECTED", "open_file", "refuse_stand_ins"]

EXPECTED = "expected .safetensors, .gguf, a torch checkpoint, a *.index.json or a folder with one of them"
_PICKLES = tuple(bytes([0x80, protocol]) for protocol in (2, 3, 4, 5))
_WEB_PAGES = (b"<!doctype html", b"<html")


def open_file(path: Path) -> Source:
    """Open a single file; raises ``pointer``, ``sbit`` or ``format`` for files that hold no weights."""
    from subbit_formats.sbit.header import MAGIC

    if path.exists() and not path.is_file():
        raise SubbitError("is no regular file", kind="unreadable")
    with path.open("rb") as file:
        head = file.read(64)
    if head.startswith(MAGIC) or path.name.endswith((".sbit", ".sbit.index.json")):
        hint = "open it with subbit.open or `subbit inspect`; `subbit decompress` turns it back"
        raise SubbitError("is a .sbit file, already compressed", kind="sbit", hint=hint)
    if not head:
        raise SubbitError("is an empty file", kind="truncated", hint=EXPECTED)
    refuse_stand_ins(head)
    if head.startswith(b"GGUF"):
        from subbit_formats.sources.gguf import open_gguf

        return open_gguf(path)
    if head.startswith(b"PK\x03\x04") or head[:2] in _PICKLES:
        from subbit_formats.sources.pickle import open_torch

        return open_torch(path)
    if path.suffix == ".safetensors" or head[8:9] == b"{":
        from subbit_formats.sources.safetensors import open_safetensors

        return open_safetensors(path)
    raise SubbitError("is no checkpoint", kind="format", hint=EXPECTED)


def refuse_stand_ins(head: bytes) -> None:
    """Raise ``pointer`` for what a failed download leaves in place of a file."""
    if head.startswith(b"version https://git-lfs"):
        hint = "fetch the weights with `git lfs pull`"
        raise SubbitError("is a Git LFS pointer, not the weights themselves", kind="pointer", hint=hint)
    if head.lstrip().lower().startswith(_WEB_PAGES):
        hint = "the download gave an error or login page; download the file itself"
        raise SubbitError("is a web page (HTML), not weights", kind="pointer", hint=hint)
