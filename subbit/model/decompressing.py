"""Back to a checkpoint that every tool reads: a safetensors file, written one tensor at a time."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from os import PathLike
from pathlib import Path
from typing import TYPE_CHECKING, Any

from subbit.model.compressing import Progress
from subbit.model.file import File, open_file
from subbit.model.parent import Checkpoint
from subbit.model.tensor import PARENT_KEY, check_float
from subbit_formats.dtypes import FLOATS, ITEM_SIZES
from subbit_formats.safetensors_writer import SafetensorsWriter

if TYPE_CHECKING:
    import numpy as np

__all__ = ["decoded_bytes", "decompress", "write_decoded"]

Decode = Callable[[File, str, str | None], "np.ndarray[Any, Any]"]
"""The weights of a name in an open file, as a type."""


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
        write_decoded(file, list(file), target, dtype, stored_weights, force=force, progress=progress)
        return target


def stored_weights(file: File, name: str, dtype: str | None) -> np.ndarray[Any, Any]:
    """A tensor as it is stored: low-rank corrections stay tensors of their own."""
    return file[name].decode(dtype=dtype)


def write_decoded(
    file: File,
    names: Sequence[str],
    target: Path,
    dtype: str | None,
    decode: Decode,
    *,
    force: bool,
    progress: Progress | None,
) -> None:
    """Decode some tensors of an open file into one safetensors file."""
    described = {name: (_decoded_type(file, name, dtype), file[name].shape) for name in names}
    sizes = {name: decoded_bytes(file, name, dtype) for name in names}
    done = 0
    metadata = {key: value for key, value in file.metadata.items() if key != PARENT_KEY}
    with SafetensorsWriter(target, described, metadata, force=force) as writer:
        for name in writer.names:
            if progress is not None:
                progress("decompress", done, sum(sizes.values()), name)
            writer.write(decode(file, name, dtype))
            done += sizes[name]


def _decoded_type(file: File, name: str, dtype: str | None) -> str:
    """The type that a tensor is decoded to: its own, or for floats the one that is asked for."""
    own = file[name].dtype
    return dtype if dtype is not None and own in FLOATS else own


def decoded_bytes(file: File, name: str, dtype: str | None) -> int:
    """Bytes of a decoded tensor."""
    return math.prod(file[name].shape) * ITEM_SIZES[_decoded_type(file, name, dtype)]
