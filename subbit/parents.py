"""What needs a tensor of a parent checkpoint, an initialization or the model that was fine-tuned, and how it is known.

The parent is never stored: whoever decodes brings it, and a content hash says whether it is the same.
"""

from __future__ import annotations

import re
from copy import copy
from typing import TypeVar

import numpy as np
import xxhash

from subbit.errors import SubbitError
from subbit_formats.dtypes import FLOATS, dtype_name, numpy_dtype

__all__ = ["WAY_OUT", "Relative", "content_hash"]

_Self = TypeVar("_Self", bound="Relative")
WAY_OUT = "pass the checkpoint that it was compressed against with --base (base=)"
_FINITE = "write it again against a checkpoint without them"


def content_hash(tensor: np.ndarray) -> str:
    """XXH3-128 in 32 hex digits of a tensor's element type, shape and items: `float32 512 768`, a line end, the bytes.

    The items are little-endian, last dimension fastest; equal hashes mean equal bits.
    """
    dtype = dtype_name(tensor.dtype)
    state = xxhash.xxh3_128(" ".join([dtype, *map(str, tensor.shape)]).encode() + b"\n")
    state.update(np.ascontiguousarray(tensor, numpy_dtype(dtype)).reshape(-1).view(np.uint8).data)
    return state.hexdigest()


class Relative:
    """The part that sign planes and codecs share which need the parent's tensor: its hash, and the tensor at hand.

    `parent` is the content hash that must be met; None takes any tensor and remembers its hash, which is for encoding.
    """

    parent: str | None
    _tensor: np.ndarray | None = None

    def __post_init__(self) -> None:
        if self.parent is not None and not re.fullmatch("[0-9a-f]{32}", str(self.parent)):
            text = f"parent is {str(self.parent)[:40]!r}, not a content hash of 32 hex digits"
            raise SubbitError(text, kind="parent", hint="write it again with a current subbit")

    def given(self: _Self, tensor: np.ndarray) -> _Self:
        """The same with the parent's tensor at hand; a :class:`SubbitError` (kind "parent") if its hash is another."""
        found = content_hash(tensor)
        if self.parent not in (None, found):
            text = f"the parent's tensor has content hash {found}, {self.parent} is needed"
            raise SubbitError(text, kind="parent", hint=WAY_OUT)
        bound = copy(self)
        vars(bound).update(parent=found, _tensor=tensor)  # frozen to all others
        return bound

    @property
    def tensor(self) -> np.ndarray:
        """The parent's tensor; a :class:`SubbitError` (kind "parent") that says what is needed where none was given."""
        if self._tensor is None:
            which = f", content hash {self.parent}" if self.parent else ""
            raise SubbitError(f"needs its tensor of a parent checkpoint{which}", kind="parent", hint=WAY_OUT)
        return self._tensor

    def rows(self, rows: int, cols: int, start: int, stop: int) -> np.ndarray:
        """Rows start … stop of the parent as a rows × cols matrix, each weight rounded once to float32.

        Raises :class:`SubbitError` (kind "parent") for another size, no floats, and NaN or infinity.
        """
        tensor = self.tensor
        if tensor.size != rows * cols or dtype_name(tensor.dtype) not in FLOATS:
            text = f"the parent's tensor is {dtype_name(tensor.dtype)} {tensor.shape}, no {rows} x {cols} floats"
            raise SubbitError(text, kind="parent", hint=WAY_OUT)
        with np.errstate(over="ignore"):
            block: np.ndarray = tensor.reshape(rows, cols)[start:stop].astype(np.float32)
        if not np.isfinite(block).all():
            raise SubbitError("the parent's tensor has NaN or infinite weights", kind="parent", hint=_FINITE)
        return block
