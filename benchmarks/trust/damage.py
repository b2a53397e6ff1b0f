"""Whether a reader notices that a file is not the one that was written."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache, partial
from pathlib import Path
from typing import Any

from benchmarks.trust.seeds import goldens, room
from benchmarks.trust.victim import complaint
from subbit_formats.sbit import Reader

__all__ = ["overlooked", "warm_up"]


def overlooked(path: Path, good: bytes) -> list[str]:
    """Open and read a damaged file in all ways; says what was handed out that is not in the good one.

    Opening, or whatever is damaged, must be refused with a complete :class:`SubbitError`, and so must verifying. What
    is handed out nevertheless must be what the good file has.
    """
    found: list[str] = []
    try:
        reader = Reader(path)
    except Exception as error:
        return [text] if (text := complaint(error)) else []
    with reader:
        whole = _contents(good)
        if _described(reader) != whole["index"]:
            found.append("silent: another index")
        for name in reader.tensors:
            _compare(partial(_sections, reader, name), whole.get(("tensor", name)), found)
        for name in reader.extras:
            _compare(partial(reader.extra, name), whole.get(("extra", name)), found)
        try:
            reader.verify()
            found.append("unnoticed by verify")
        except Exception as error:
            found += [text] if (text := complaint(error)) else []
    return found


def warm_up(_: Path) -> None:
    """Read every golden, so that all modules and what is compared with are there."""
    for data in goldens().values():
        _contents(data)


def _compare(read: Callable[[], Any], whole: Any, found: list[str]) -> None:
    try:
        if read() != whole:
            found.append("silent: other bytes are handed out")
    except Exception as error:
        found += [text] if (text := complaint(error)) else []


def _sections(reader: Reader, name: str) -> dict[str, bytes]:
    return {section: bytes(data) for section, data in reader.sections(name).items()}


def _described(reader: Reader) -> Any:
    fields = ("name", "shape", "dtype", "codec", "knobs", "covered", "sections", "stored_bytes", "offset")
    tensors = [[getattr(entry, field) for field in fields] for entry in reader.tensors.values()]
    return reader.version, reader.size, reader.metadata, reader.aliases, reader.extras, tensors


@cache
def _contents(good: bytes) -> dict[Any, Any]:
    with room() as folder:
        path = Path(folder) / "good.sbit"
        path.write_bytes(good)
        with Reader(path) as reader:
            tensors = {("tensor", name): _sections(reader, name) for name in reader.tensors}
            extras = {("extra", name): reader.extra(name) for name in reader.extras}
            return {"index": _described(reader)} | tensors | extras
