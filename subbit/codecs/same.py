"""`same`: a tensor that is its parent's, bit for bit."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from subbit.codecs.base import stored_knobs
from subbit.codecs.blocks import output_for
from subbit.codecs.dense import copy_exact
from subbit.errors import SubbitError
from subbit.parents import WAY_OUT, Relative, content_hash
from subbit.records import Encoded, Shape
from subbit_formats.dtypes import dtype_name

__all__ = ["Same"]


@dataclass(frozen=True)
class Same(Relative):
    """Nothing but the content hash of the parent's tensor: what fine-tuning did not touch. Any shape, any type.

    Costs 0 bits, lossless. Raises :class:`SubbitError` (kind "parent") if a tensor differs in one bit.
    """

    id: ClassVar[str] = "same"
    section_names: ClassVar[frozenset[str]] = frozenset()
    parent: str | None = None

    def bits(self, shape: Shape) -> int:
        """Nothing: 0."""
        return 0

    def encode(self, weight: np.ndarray, importance: np.ndarray | None = None) -> Encoded:
        """Compare the hashes of type, shape and bits."""
        if content_hash(weight) != content_hash(self.tensor):
            raise SubbitError("differs from the parent's tensor", kind="parent", hint="use subbit.Delta()")
        return Encoded(self.id, stored_knobs(self), weight.shape, dtype_name(weight.dtype), {})

    def decode(self, encoded: Encoded, out: np.ndarray | None = None) -> np.ndarray:
        """The parent's bits, or where `out` has another floating type each value rounded once."""
        tensor = self.tensor
        if (tuple(encoded.shape), encoded.dtype) != (tensor.shape, dtype_name(tensor.dtype)):
            text = f"the parent's tensor is {tensor.dtype} {tensor.shape}, not {encoded.dtype} {tuple(encoded.shape)}"
            raise SubbitError(text, kind="parent", hint=WAY_OUT)
        return copy_exact(tensor, output_for(encoded, out))
