"""Shard indexes that are wrong in one thing, beside shards that are right: two goldens."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

from formats.bad.forge import canonical

__all__ = ["CASES", "SHARDS"]

_GOLDEN = Path(__file__).parents[1] / "golden" / "0.1"
_ONE, _TWO = "shards-00001-of-00002.sbit", "shards-00002-of-00002.sbit"
_INDEX = (_GOLDEN / "shards.sbit.index.json").read_bytes()

SHARDS = {name: (_GOLDEN / name).read_bytes() for name in (_ONE, _TWO)}
"""File name → its bytes: the shards of all the indexes."""


def _with(change: Callable[[Any], Any]) -> bytes:
    index = json.loads(_INDEX)
    change(index)
    return canonical(index)


def _renamed(name: str) -> bytes:
    def change(index: Any) -> None:
        index["files"][name] = index["files"].pop(_ONE)
        index["weight_map"] = {key: name if file == _ONE else file for key, file in index["weight_map"].items()}

    return _with(change)


def _resized(index: Any) -> None:
    index["files"][_ONE]["size"] += 1
    index["metadata"]["total_size"] += 1


def _without_the_second(index: Any) -> None:
    index["metadata"]["total_size"] -= index["files"].pop(_TWO)["size"]


CASES: dict[str, tuple[str, bytes]] = {
    "empty": ("shard-index", b""),
    "no-json": ("shard-index", b"\xff\xfe"),
    "nested": ("shard-index", b"[" * 10**4),
    "white-space": ("shard-index", json.dumps(json.loads(_INDEX)).encode()),
    "key-twice": ("shard-index", _INDEX.replace(b'"version":1', b'"version":1,"version":1')),
    "unknown-key": ("shard-index", _with(lambda index: index.update(more=1))),
    "no-files-key": ("shard-index", _with(lambda index: index.pop("files"))),
    "no-files": ("shard-index", _with(lambda index: index.update(files={}, weight_map={}))),
    "another-total": ("shard-index", _with(lambda index: index["metadata"].update(total_size=1))),
    "another-format": ("shard-index", _with(lambda index: index["metadata"].update(format="gguf"))),
    "version-0": ("shard-index", _with(lambda index: index["metadata"].update(version=0))),
    "version-2": ("newer-version", _with(lambda index: index["metadata"].update(version=2, more=1))),
    "name-in-the-folder-above": ("shard-name", _renamed(f"../{_ONE}")),
    "name-in-a-folder": ("shard-name", _renamed(f"folder/{_ONE}")),
    "name-through-a-folder": ("shard-name", _renamed(f"{_ONE}/../{_ONE}")),
    "name-with-backslash": ("shard-name", _renamed(f"..\\{_ONE}")),
    "name-from-the-root": ("shard-name", _renamed("/etc/m.sbit")),
    "name-on-a-drive": ("shard-name", _renamed("C:m.sbit")),
    "name-with-nul": ("shard-name", _renamed("m\0.sbit")),
    "name-of-the-folder-above": ("shard-name", _renamed("..")),
    "name-empty": ("shard-name", _renamed("")),
    "name-only-an-end": ("shard-name", _renamed(".sbit")),
    "name-too-long": ("shard-name", _renamed("m" * 251 + ".sbit")),
    "name-of-another-format": ("shard-name", _renamed("config.json")),
    "shard-missing": ("shard-missing", _renamed("shards-00003-of-00002.sbit")),
    "shard-of-another-size": ("shard-mismatch", _with(_resized)),
    "shard-of-another-hash": ("shard-mismatch", _with(lambda index: index["files"][_ONE].update(xxh3="0" * 32))),
    "shard-unlisted": ("shard-map", _with(_without_the_second)),
    "tensor-missing": ("shard-map", _with(lambda index: index["weight_map"].pop("w1"))),
    "alias-missing": ("shard-map", _with(lambda index: index["weight_map"].pop("tied"))),
    "tensor-in-another-shard": ("shard-map", _with(lambda index: index["weight_map"].update(w0=_TWO))),
    "tensor-too-many": ("shard-map", _with(lambda index: index["weight_map"].update(w9=_TWO))),
}
"""Name without `.sbit.index.json` → the kind of the error that it must give, its bytes."""
