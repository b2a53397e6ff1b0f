"""Back to a checkpoint that every tool reads: a safetensors file, written one tensor at a time."""

from __future__ import annotations

import math
from os import PathLike
from pathlib import Path

from subbit.model.compressing import Progress
from subbit.model.file import open_file
from subbit.model.parent import Checkpoint
from subbit.model.tensor import PARENT_KEY, check_float
from subbit_formats.dtypes import FLOATS, ITEM_SIZES
from subbit_formats.safetensors_writer import SafetensorsWriter

__all__ = ["decompress"]


def decompress(
    path: str | PathLike[str],
    output: str | PathLike[str] | None = None,
    *,
    dtype: str | None = None,
    base: Checkpoint | None = None,
    max_bytes: int | None = None,
    force: bool = False,
    progress: Progress | None = None,
) -> Path:
    """Decode every tensor of a `.sbit` file into a safetensors file and return its path.

    `dtype` is for the floating tensors; without it each keeps its own type. Tied tensors are written under each of
    their names. `output` defaults to the file's name with `.safetensors`; `base` is the parent checkpoint, for files
    that were compressed against one. With `max_bytes` a file that states more bytes of weights and extras is refused
    (kind "max-bytes") before anything is decoded or written. Raises :class:`SubbitError` for damage, a missing or
    another parent, an existing output (unless `force`) or a full disk; nothing half-written stays behind.
    """
    check_float(dtype)
    with open_file(path, base) as file:
        file.archive.check_size(max_bytes, dtype)
        source = Path(path)
        name = source.name.removesuffix(".index.json").removesuffix(".sbit")
        target = Path(output) if output is not None else source.with_name(name + ".safetensors")
        described = {}
        for tensor_name in file:
            tensor = file[tensor_name]
            kind = dtype if dtype is not None and tensor.dtype in FLOATS else tensor.dtype
            described[tensor_name] = (kind, tensor.shape)
        sizes = {name: math.prod(shape) * ITEM_SIZES[kind] for name, (kind, shape) in described.items()}
        done = 0
        metadata = {key: value for key, value in file.metadata.items() if key != PARENT_KEY}
        with SafetensorsWriter(target, described, metadata, force=force) as writer:
            for tensor_name in writer.names:
                if progress is not None:
                    progress("decompress", done, sum(sizes.values()), tensor_name)
                writer.write(file[tensor_name].decode(dtype=dtype))
                done += sizes[tensor_name]
        return target
