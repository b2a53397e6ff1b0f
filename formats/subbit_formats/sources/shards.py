"""A sharded checkpoint: an index names the file of every tensor; the shards become one mapping.

Works for `*.safetensors.index.json` and `pytorch_model.bin.index.json` alike.
"""

from __future__ import annotations

from pathlib import Path, PurePosixPath, PureWindowsPath
from typing import Any

from subbit_formats.errors import SubbitError
from subbit_formats.sources.file import open_file, refuse_stand_ins
from subbit_formats.sources.source import Source, SourceTensor, naming
from subbit_formats.sources.strict_json import parse_object

__all__ = ["INDEX_SUFFIX", "open_index"]

INDEX_SUFFIX = ".index.json"


def open_index(path: Path) -> Source:
    """Open all shards of an index and check that every tensor stands where the index says.

    A tensor that the index forgets is taken all the same; one that stands in two shards is refused.
    Metadata is merged in the order of file names: a key with another value in a later shard is kept
    a second time as ``key@shard-file-name``. Raises ``missing``, ``outside``, ``format``, ``duplicate``.
    """
    if path.name.endswith(".sbit" + INDEX_SUFFIX):
        open_file(path)  # refuses it, with the way out
    placed = _weight_map(path)
    tensors: dict[str, SourceTensor] = {}
    metadata: dict[str, str] = {}
    aliases: dict[str, str] = {}
    kinds = set()
    for file_name in sorted(set(placed.values())):
        shard = _open_shard(path.parent / file_name)
        kinds.add(shard.kind)
        _check_shard(shard, [name for name, home in placed.items() if home == file_name])
        for name in (*shard, *shard.aliases):
            if name in tensors or name in aliases:
                where = f"stands in {file_name} and in another shard"
                raise SubbitError(where, kind="duplicate", tensor=name)
        tensors.update(shard)
        aliases.update(shard.aliases)
        for key, value in shard.metadata.items():
            if metadata.setdefault(key, value) != value:
                metadata[f"{key}@{file_name}"] = value
    kind = " and ".join(f"sharded {kind}" for kind in sorted(kinds))
    return Source(path, kind, tensors.values(), metadata=metadata, aliases=aliases)


def _weight_map(path: Path) -> dict[str, str]:
    data = path.read_bytes()
    refuse_stand_ins(data[:64])
    index: dict[str, Any] = parse_object(data, "the index")
    placed = index.get("weight_map")
    if not isinstance(placed, dict) or not placed:
        raise SubbitError("has no weight_map, so it is no index of a sharded checkpoint", kind="format")
    for name, file_name in placed.items():
        if not isinstance(file_name, str) or not file_name:
            raise SubbitError(f"the file of {name!r} must be a name, not {file_name!r}", kind="format")
        windows, posix = PureWindowsPath(file_name), PurePosixPath(file_name)
        if windows.anchor or posix.anchor or ".." in windows.parts or "\0" in file_name:
            hint = "shards must stand beside their index"
            raise SubbitError(f"points outside its folder: {file_name!r}", kind="outside", hint=hint)
    return placed


def _open_shard(path: Path) -> Source:
    with naming(path):
        if not path.exists():
            hint = "copy or download the file the index names"
            raise SubbitError("this shard is missing", kind="missing", hint=hint)
        return open_file(path)


def _check_shard(shard: Source, names: list[str]) -> None:
    for name in names:
        if name not in shard and name not in shard.aliases:
            what = "the index places it in this shard, which does not hold it"
            raise SubbitError(what, kind="format", path=shard.path, tensor=name)
