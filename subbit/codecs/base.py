"""What a codec is.

A codec turns one weight tensor into named byte sections and back. It is a frozen dataclass of knobs,
so that equality, repr and JSON come for free, and it obeys these rules:

1. `id` names a byte layout for ever. A changed layout is a new id; retired ids stay listed.
2. `bits(shape)` is an upper bound on `encode(...).bits` for any weights of that shape, known before encoding.
3. `encode` is a function of its arguments alone: same weights, importance and knobs give the same bytes
   on any machine and thread count (no BLAS, no NumPy reductions in float, no transcendental functions in
   what decides a stored byte; use the kernels).
4. `decode` needs the sections, the shape and the stored knobs, nothing else (but see 7); it is bit-identical
   everywhere, and it validates what it reads before any kernel touches it (a bad section is a SubbitError, kind
   "section").
5. Decoded values are float32 computed with integers, one multiply and one rounding, then rounded once to
   the type of `out`. With `out` given nothing of the tensor's size is allocated.
6. Codecs work on the matrix view (`records.matrix_shape`): any shape of at least two dimensions, any width.
   Weights are finite and floating; `tensors.py` sends everything else to `dense`.
7. A codec whose weights are told relative to a parent checkpoint (`parents.Relative`, as a whole or in its sign plane)
   stores the content hash of the parent's tensor as a knob. That tensor it must be given before it encodes or decodes
   (`relative.with_parent`), and it refuses any other; bound to it, all rules above hold.
8. `importance`, where given, broadcasts to the matrix: non-negative weights on squared errors; a codec with
   `takes_curvature = True` gets a :class:`Curvature` as it is. It enters encoding only.
"""

from __future__ import annotations

from dataclasses import fields
from typing import Any, ClassVar, Protocol, runtime_checkable

import numpy as np

from subbit.records import Encoded, Shape

__all__ = ["ENCODER", "Codec", "knobs_of", "stored_knobs", "takes_gains"]

ENCODER = {"stored": False}
"""Metadata of a knob that only encoding needs: `field(default=0.8, metadata=ENCODER)`. Files do not hold it."""


@runtime_checkable
class Codec(Protocol):
    """One way of writing a tensor down; see the module's text for the contract."""

    id: ClassVar[str]

    @property
    def section_names(self) -> frozenset[str]:
        """The sections that it writes; others are refused."""
        ...

    def bits(self, shape: Shape) -> int:
        """An upper bound on the stored bits of a tensor of this shape."""
        ...

    def encode(self, weight: np.ndarray, importance: Any = None) -> Encoded:
        """Turn a floating, finite tensor into sections."""
        ...

    def decode(self, encoded: Encoded, out: np.ndarray | None = None) -> np.ndarray:
        """Rebuild the tensor, into `out` (same shape, C-contiguous, floating) or a new array of its own dtype."""
        ...


def takes_gains(codec: Any) -> tuple[bool, bool]:
    """Whether a finished code can be multiplied, row by row and column by column, without coding anew.

    Such codecs say so in `takes_gains` and have `regain(encoded, rows, columns) -> Encoded` (magnitude coders: sections
    → sections); the gains are float64, positive and finite.
    """
    found: tuple[bool, bool] = getattr(codec, "takes_gains", (False, False))
    return found


def knobs_of(codec: Any) -> dict[str, Any]:
    """All knobs as plain JSON values, for plans; parts (signs, magnitudes) become `{"kind": …, knobs…}`."""
    return _knobs(codec, everything=True)


def stored_knobs(codec: Any) -> dict[str, Any]:
    """The knobs that decoding needs, for files: a later encoder may have others without changing the layout."""
    return _knobs(codec, everything=False)


def _knobs(codec: Any, everything: bool) -> dict[str, Any]:
    out: dict[str, Any] = {}
    for field in fields(codec):
        if not everything and not field.metadata.get("stored", True):
            continue
        value = getattr(codec, field.name)
        if hasattr(value, "kind") and hasattr(value, "__dataclass_fields__"):
            value = {"kind": value.kind, **_knobs(value, everything)}
        out[field.name] = value
    return out
