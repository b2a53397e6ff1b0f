"""Reading: a mapped `.sbit` file as a mapping of tensors that decode when asked."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from functools import partial
from os import PathLike
from types import TracebackType
from typing import Any

from subbit.figures import ERRORS
from subbit.model.parent import Checkpoint, Parent
from subbit.model.tensor import Tensor, check_float
from subbit_formats.sbit import Archive, open_reader

__all__ = ["File", "load", "open_file"]


class File(Mapping[str, Tensor]):
    """An open `.sbit` file (or set of shards) and its parent, where it needs one: maps it, decodes nothing.

    A context manager.
    """

    def __init__(self, archive: Archive, parent: Parent | None = None) -> None:
        self.archive = archive
        self.parent = parent

    def __getitem__(self, name: str) -> Tensor:
        """A tensor by its name or by another name of tied data; KeyError if there is none."""
        target = self.archive.aliases.get(name, name)
        read = None if self.parent is None else partial(self.parent.read, target)
        return Tensor(self.archive, self.archive.tensors[target], read)

    def __iter__(self) -> Iterator[str]:
        yield from self.archive.tensors
        yield from self.archive.aliases

    def __len__(self) -> int:
        return len(self.archive.tensors) + len(self.archive.aliases)

    @property
    def metadata(self) -> Mapping[str, str]:
        """Text that travels with the weights."""
        return self.archive.metadata

    @property
    def aliases(self) -> Mapping[str, str]:
        """Further names of tied tensors, to the names that hold the data."""
        return self.archive.aliases

    @property
    def extras(self) -> tuple[str, ...]:
        """Names of the files that travel with the weights (config.json, tokenizer.json …)."""
        return tuple(name for name in self.archive.extras if name != ERRORS)

    def extra(self, name: str) -> bytes:
        """The content of one of them."""
        return self.archive.extra(name)

    @property
    def bits_per_weight(self) -> float:
        """8 × bytes on disk ÷ weights, tied weights counted once."""
        return self.archive.bits_per_weight

    @property
    def coded_bits_per_weight(self) -> float:
        """The same over the tensors that the budget covered, with all that decoding them needs."""
        weights = self.archive.covered_weights
        return 8 * self.archive.covered_bytes / weights if weights else 0.0

    def close(self) -> None:
        """Unmap the file and close the parent; arrays that were decoded stay valid."""
        self.archive.close()
        if self.parent is not None:
            self.parent.close()

    def __enter__(self) -> File:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


def open_file(path: str | PathLike[str], base: Checkpoint | None = None, *, max_bytes: int | None = None) -> File:
    """Map a `.sbit` file or a set of shards and check its header and index; reads no weights.

    `base` is the parent checkpoint (any file or folder that can be compressed, a `.sbit` file, or {name: array}) for
    files that were compressed against one; the tensors that need it compare content hashes when they decode.
    `max_bytes` bounds what the file may hand out: a file is refused (kind "max-bytes") that states more bytes of
    decoded tensors, each in its own type, and extras, all together. Raises :class:`SubbitError` for a file that is
    missing, damaged, newer, or no `.sbit` file.
    """
    archive = open_reader(path)
    try:
        archive.check_size(max_bytes)
        return File(archive, None if base is None else Parent(base))
    except BaseException:
        archive.close()
        raise


def load(
    path: str | PathLike[str],
    dtype: str | None = None,
    base: Checkpoint | None = None,
    *,
    max_bytes: int | None = None,
) -> dict[str, Any]:
    """Decode every tensor: {name: array}; tied names share one array.

    `dtype` (such as "float32" or "bfloat16") is for the floating tensors; without it each keeps its own type. `base`
    is the parent checkpoint, for files that were compressed against one (see :func:`open_file`). With `max_bytes` a
    file that states more bytes than that, decoded, is refused (kind "max-bytes") before anything is decoded. Raises
    :class:`SubbitError` that names file and tensor for any damage, kind "parent" for a missing or another parent.
    """
    check_float(dtype)
    with open_file(path, base) as file:
        file.archive.check_size(max_bytes, dtype)
        weights: dict[str, Any] = {name: file[name].decode(dtype=dtype) for name in file.archive.tensors}
        weights.update({name: weights[target] for name, target in file.aliases.items()})
        return weights
