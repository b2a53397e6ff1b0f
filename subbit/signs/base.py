"""What a sign plane is.

A sign plane gives every weight of a rows × cols matrix a sign. It is a frozen dataclass of knobs, so that
equality, repr and JSON come for free, and it obeys these rules:

1. `kind` names a rule for ever; `formats/TEMPLATES.md` states each one to the bit.
2. Signs travel as sign words: uint64[rows, ceil(cols / 64)], column j is bit j % 64 of word j // 64, lowest
   bit first, 1 is negative; the bits past the last column are 0.
3. Seeded kinds store nothing: `bits` is 0, `encode` returns b"" and `fill` computes every sign from the
   counter hash (`kernels.counter_hash`) in integers. The others store what `bits` bounds.
4. `encode` returns what must be stored for the plane to give these signs, as nearly as it can; where the
   plane still differs, `flips` stores the difference.
5. `fill` writes any range of rows by itself, the same bits on every machine, so that decoders can work on
   row blocks in parallel. It checks `data` first: what `encode` could not have written is a SubbitError,
   kind "section".
6. A wrong knob is a SubbitError, kind "template", when the plane is made.
"""

from __future__ import annotations

from typing import ClassVar, Protocol, runtime_checkable

import numpy as np

from subbit.errors import SubbitError
from subbit.kernels import kernel
from subbit.records import Buffer

__all__ = ["Free", "Seeded", "SignPlane", "Turning", "agreement", "check_knob", "clear_tail", "word_count"]


@runtime_checkable
class SignPlane(Protocol):
    """One rule that gives signs; see the module's text for the contract."""

    kind: ClassVar[str]

    def bits(self, rows: int, cols: int) -> int:
        """An upper bound on the stored bits of the plane itself, flips not counted."""
        ...

    def encode(self, words: np.ndarray, rows: int, cols: int) -> bytes:
        """What must be stored so that the plane gives these signs as nearly as it can."""
        ...

    def fill(self, data: Buffer, rows: int, cols: int, start: int, stop: int, out: np.ndarray) -> None:
        """Write the sign words of rows start … stop of the plane into `out`, uint64[stop - start, words]."""
        ...


@runtime_checkable
class Turning(Protocol):
    """A plane whose signs are the top bits of wrapping sums: kernels need not have them as words."""

    def angles(self, data: Buffer, rows: int, cols: int) -> tuple[np.ndarray, np.ndarray]:
        """Those of all rows and of all columns, uint16; checks `data` as `fill` does."""
        ...


class Free:
    """The part that all kinds share whose signs come from elsewhere: nothing stored, nothing accepted."""

    kind: ClassVar[str]

    def bits(self, rows: int, cols: int) -> int:
        """Nothing: 0."""
        return 0

    def encode(self, words: np.ndarray, rows: int, cols: int) -> bytes:
        """Nothing: the plane is what it is, whatever the signs are."""
        return b""

    def fill(self, data: Buffer, rows: int, cols: int, start: int, stop: int, out: np.ndarray) -> None:
        """Compute rows start … stop; a SubbitError if `data` holds anything."""
        self.check_empty(data)
        self.render(rows, cols, start, stop, out)

    def check_empty(self, data: Buffer) -> None:
        """A SubbitError, kind "section", if `data` holds anything."""
        if memoryview(data).nbytes:
            raise SubbitError(f"{self.kind!r} signs store nothing, yet there are bytes", kind="section")

    def render(self, rows: int, cols: int, start: int, stop: int, out: np.ndarray) -> None:
        """Write the sign words of rows start … stop."""
        raise NotImplementedError


class Seeded(Free):
    """The part that all seeded kinds share: a 64-bit seed."""

    seed: int

    def __post_init__(self) -> None:
        check_knob(self.kind, "seed", self.seed, 0, 2**64 - 1)


def word_count(cols: int) -> int:
    """Sign words in a row of `cols` weights."""
    return -(-cols // 64)


def agreement(a: np.ndarray, b: np.ndarray, rows: int, cols: int) -> float:
    """The share of equal signs of two planes, 0 … 1; 1 for an empty matrix."""
    if rows * cols == 0:
        return 1.0
    return 1.0 - int(kernel("sign_planes").disagreement(a, b)) / (rows * cols)


def check_knob(kind: str, name: str, value: object, low: int, high: int) -> None:
    """Refuse a knob that is no whole number in low … high."""
    if type(value) is not int or not low <= value <= high:
        raise SubbitError(f"{name} of {kind!r} signs is {value!r}, not in {low} … {high}", kind="template")


def clear_tail(words: np.ndarray, cols: int) -> None:
    """Clear the bits past the last column, in place."""
    if cols % 64:
        words[:, -1] &= np.uint64((1 << cols % 64) - 1)
