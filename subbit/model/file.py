"""Reading: a mapped `.sbit` file as a mapping of tensors that decode when asked."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from os import PathLike
from types import TracebackType
from typing import Any

import numpy as np

from subbit.errors import SubbitError, UsageError
from subbit.records import Encoded
from subbit.tensors import decode
from subbit_formats.dtypes import FLOATS, numpy_dtype
from subbit_formats.sbit import Archive, Entry, open_reader

__all__ = ["File", "Tensor", "check_float", "load", "open_file"]


@dataclass(frozen=True)
class Tensor:
    """One stored tensor; nothing of it is read before `decode`."""

    archive: Archive
    entry: Entry

    @property
    def shape(self) -> tuple[int, ...]:
        """Its dimensions."""
        return self.entry.shape

    @property
    def dtype(self) -> str:
        """Name of its own element type."""
        return self.entry.dtype

    @property
    def codec(self) -> str:
        """Id of the codec that wrote it."""
        return self.entry.codec

    @property
    def covered(self) -> bool:
        """Whether the bit budget covered it."""
        return self.entry.covered

    @property
    def bits_per_weight(self) -> float:
        """All bits that it adds to the file divided by its weights."""
        return self.entry.bits_per_weight

    @property
    def encoded(self) -> Encoded:
        """Its checked sections as they stand in the mapped file."""
        entry = self.entry
        return Encoded(entry.codec, entry.knobs, entry.shape, entry.dtype, self.archive.sections(entry))

    def decode(self, out: np.ndarray | None = None, dtype: str | None = None) -> np.ndarray:
        """Check the sections' checksums and rebuild the weights.

        Into `out` (its shape, C-contiguous, floating), or as `dtype` (floats only), or as its own type. Raises
        :class:`SubbitError` that names the file and the tensor for damage or an `out` that does not fit.
        """
        check_float(dtype)
        path, name = self.archive.path, self.entry.name
        try:
            if out is None and dtype is not None and self.dtype in FLOATS:
                out = np.empty(self.shape, numpy_dtype(dtype))
            return decode(self.encoded, out)
        except SubbitError as error:
            raise error.at(path=path, tensor=name) from None
        except MemoryError:
            raise SubbitError("does not fit into memory", kind="memory", path=path, tensor=name) from None


class File(Mapping[str, Tensor]):
    """An open `.sbit` file (or set of shards): maps it, decodes nothing. A context manager."""

    def __init__(self, archive: Archive) -> None:
        self.archive = archive

    def __getitem__(self, name: str) -> Tensor:
        """A tensor by its name or by another name of tied data; KeyError if there is none."""
        target = self.archive.aliases.get(name, name)
        return Tensor(self.archive, self.archive.tensors[target])

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
        return self.archive.extras

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
        """Unmap the file; arrays that were decoded stay valid."""
        self.archive.close()

    def __enter__(self) -> File:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


def check_float(dtype: str | None) -> None:
    """Raise :class:`UsageError` unless `dtype` is None or the name of a floating type."""
    if dtype is not None and dtype not in FLOATS:
        hint = f"one of {', '.join(sorted(FLOATS))}"
        raise UsageError(f"weights cannot be decoded as {dtype!r}", kind="dtype", hint=hint)


def open_file(path: str | PathLike[str]) -> File:
    """Map a `.sbit` file or a set of shards and check its header and index; reads no weights.

    Raises :class:`SubbitError` for a file that is missing, damaged, newer, or no `.sbit` file.
    """
    return File(open_reader(path))


def load(path: str | PathLike[str], dtype: str | None = None) -> dict[str, Any]:
    """Decode every tensor: {name: array}; tied names share one array.

    `dtype` (such as "float32" or "bfloat16") is for the floating tensors; without it each keeps its own type.
    Raises :class:`SubbitError` that names file and tensor for any damage.
    """
    check_float(dtype)
    with open_file(path) as file:
        weights: dict[str, Any] = {name: file[name].decode(dtype=dtype) for name in file.archive.tensors}
        weights.update({name: weights[target] for name, target in file.aliases.items()})
        return weights
