"""Back to the folder that a model came from: dense weights in shards, configuration, tokenizer."""

from __future__ import annotations

import json
import re
from os import PathLike
from pathlib import Path

from subbit.model.compressing import Progress
from subbit.model.corrected import decode_whole, without_corrections
from subbit.model.decompressing import decoded_bytes, write_decoded
from subbit.model.file import File, open_file
from subbit.model.folder import make_folder
from subbit.model.parent import Checkpoint
from subbit.model.tensor import check_float
from subbit_formats.sbit.atomic import write_whole

__all__ = ["decompress_folder"]

_WEIGHTS = re.compile(r"model(-\d{5}-of-\d{5})?\.safetensors(\.index\.json)?")


def decompress_folder(
    path: str | PathLike[str],
    output: str | PathLike[str],
    *,
    dtype: str | None = None,
    base: Checkpoint | None = None,
    shard_bytes: int = 5 * 10**9,
    max_bytes: int | None = None,
    force: bool = False,
    progress: Progress | None = None,
) -> Path:
    """Decode a `.sbit` file into a Hugging Face folder, as any tool reads it, and return its path.

    Weights go into safetensors files of at most `shard_bytes` (a larger tensor has one of its own) with an index where
    they are several; low-rank corrections are added to what they correct. The files that travelled with the weights are
    written as they were, config.json last, so that a folder is whole or has none. Other options and errors are those of
    :func:`decompress`; with `force`, weights of an earlier output that this one has not are removed.
    """
    check_float(dtype)
    target = Path(output)
    with open_file(path, base) as file:
        file.archive.check_size(max_bytes, dtype)
        shards = _shards(file, dtype, shard_bytes)
        extras = sorted(file.extras, key=lambda name: name == "config.json")
        index = {} if len(shards) == 1 else {"model.safetensors.index.json": _index(file, shards, dtype)}
        make_folder(target, [*shards, *index, *extras], force=force)
        for name, tensors in shards.items():
            write_decoded(file, tensors, target / name, dtype, decode_whole, force=force, progress=progress)
        for name, content in index.items():
            write_whole(target / name, content, force=force)
        for name in extras:
            write_whole(target / name, file.extra(name), force=force)
    for old in target.iterdir():
        if _WEIGHTS.fullmatch(old.name) and old.name not in shards and old.name not in index:
            old.unlink()
    return target


def _shards(file: File, dtype: str | None, shard_bytes: int) -> dict[str, list[str]]:
    """Which tensors go into which file, in the order of their names."""
    shards: list[list[str]] = [[]]
    used = 0
    for name in sorted(without_corrections(file)):
        size = decoded_bytes(file, name, dtype)
        if shards[-1] and used + size > shard_bytes:
            shards.append([])
            used = 0
        shards[-1].append(name)
        used += size
    if len(shards) == 1:
        return {"model.safetensors": shards[0]}
    return {f"model-{k:05}-of-{len(shards):05}.safetensors": names for k, names in enumerate(shards, 1)}


def _index(file: File, shards: dict[str, list[str]], dtype: str | None) -> bytes:
    places = {name: shard for shard, names in shards.items() for name in names}
    size = sum(decoded_bytes(file, name, dtype) for name in places)
    return json.dumps({"metadata": {"total_size": size}, "weight_map": places}, indent=2).encode() + b"\n"
