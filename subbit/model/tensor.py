"""One stored tensor: what the index says about it, and its weights when asked for."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from subbit.codecs import relative_part
from subbit.errors import SubbitError, UsageError
from subbit.packed import Packed, pack
from subbit.records import Encoded
from subbit.tensors import codec_of, decode
from subbit_formats.dtypes import FLOATS, numpy_dtype
from subbit_formats.sbit import Archive, Entry

__all__ = ["PARENT_KEY", "Tensor", "check_float"]

_OF_THE_FILE = frozenset(("codec", "dtype", "knobs", "section", "shape", "template"))
"""Kinds of what is wrong with a tensor whose checksums are right."""
_MEMORY = "decode it where there is more, or into an array of your own; max_bytes= refuses such files"
_WAY_OUT = "its checksums are right, so the program that wrote it is at fault: write it again with a current subbit"

PARENT_KEY = "subbit.base"
"""Metadata key of the parent checkpoint's file name: a hint for people, content hashes decide."""


@dataclass(frozen=True)
class Tensor:
    """One stored tensor; nothing of it is read before `decode`. `parent` reads its tensor of the parent checkpoint."""

    archive: Archive
    entry: Entry
    parent: Callable[[], np.ndarray] | None = None

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

    def check(self) -> None:
        """Compare the sections with their checksums and the parent's tensor with its content hash; decode nothing.

        Raises :class:`SubbitError` that names the file and the tensor for damage, kind "parent" for a parent that is
        needed and missing or another one.
        """
        try:
            part = relative_part(codec_of(self.encoded, self.parent))
            if part is not None:
                _ = part.tensor
        except SubbitError as error:
            raise self._named(error) from None

    def decode(self, out: np.ndarray | None = None, dtype: str | None = None) -> np.ndarray:
        """Check the sections' checksums and rebuild the weights.

        Into `out` (its shape, C-contiguous, floating), or as `dtype` (floats only), or as its own type. Raises
        :class:`SubbitError` that names the file and the tensor for damage, an `out` that does not fit, or (kind
        "parent") a parent checkpoint that is needed and missing or another one.
        """
        check_float(dtype)
        try:
            if out is None and dtype is not None and self.dtype in FLOATS:
                out = np.empty(self.shape, numpy_dtype(dtype))
            return decode(self.encoded, out, self.parent)
        except SubbitError as error:
            raise self._named(error) from None
        except MemoryError:
            raise self._named(SubbitError("does not fit into memory", kind="memory", hint=_MEMORY)) from None

    def packed(self) -> Packed:
        """Check the sections' checksums and make the weights ready to be multiplied by as they are stored.

        Raises :class:`SubbitError` that names the file and the tensor, kind "packed" for a codec that cannot.
        """
        try:
            return pack(self.encoded)
        except SubbitError as error:
            raise self._named(error) from None

    def _named(self, error: SubbitError) -> SubbitError:
        parent = self.archive.metadata.get(PARENT_KEY)
        if error.kind == "parent" and error.path is None and parent is not None:
            error.hint = f"{error.hint}; its name was {parent!r}" if error.hint else f"its name was {parent!r}"
        if error.kind in _OF_THE_FILE and error.hint is None:
            error.hint = _WAY_OUT
        offset = self.entry.offset if error.kind == "section" else None
        return error.at(path=self.entry.path, tensor=self.entry.name, offset=offset)


def check_float(dtype: str | None) -> None:
    """Raise :class:`UsageError` unless `dtype` is None or the name of a floating type."""
    if dtype is not None and dtype not in FLOATS:
        hint = f"one of {', '.join(sorted(FLOATS))}"
        raise UsageError(f"weights cannot be decoded as {dtype!r}", kind="dtype", hint=hint)
