"""`signed`: a sign plane times magnitudes, with the signs that the plane gets wrong coded as flips."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Any, ClassVar

import numpy as np

from subbit.bits.packing import pack_signs
from subbit.codecs.base import ENCODER, stored_knobs, takes_gains
from subbit.codecs.blocks import Filler, decode_matrix
from subbit.codecs.magnitudes.base import NO_ANGLES, Angles, Fill, Finishing, Magnitudes
from subbit.codecs.scalar.density import row_means
from subbit.errors import SubbitError
from subbit.kernels.outputs import NO_SIGNS, finish
from subbit.records import Buffer, Encoded, Shape, matrix_shape
from subbit.signs import SignPlane, Turning, flips, signs, word_count
from subbit_formats.dtypes import dtype_name

__all__ = ["Signed"]


@dataclass(frozen=True)
class Signed:
    """Split W into signs and |W|: a plane gives the signs, a magnitude coder the rest.

    Where the plane is wrong the flip is entropy-coded: H(p) bits a weight at flip rate p, nothing where a seeded
    template holds. `drop` gives up the flips of weights no larger than `drop` × the tensor's mean magnitude.
    Zeros have no sign and cost no flip.

    Costs the plane's bits + flips + magnitudes. Source: Sakai and Ichikawa, "Sign Lock-In", arXiv 2602.17063.
    """

    signs: SignPlane
    magnitudes: Magnitudes
    drop: float = field(default=0.0, metadata=ENCODER)
    id: ClassVar[str] = "signed"

    def __post_init__(self) -> None:
        if not 0 <= self.drop < float("inf"):
            raise SubbitError(f"drop={self.drop} is not a share of the mean magnitude", kind="knobs")

    @property
    def section_names(self) -> frozenset[str]:
        """Plane, flips, and what the magnitudes write."""
        return self.magnitudes.section_names | {"signs", "flips"}

    @property
    def takes_gains(self) -> tuple[bool, bool]:
        """Whether the magnitudes take gains of rows, and of columns."""
        return takes_gains(self.magnitudes)

    def bits(self, shape: Shape) -> int:
        """The parts' bounds, and what flips cost if the plane is wrong everywhere it can be."""
        rows, cols = matrix_shape(shape)
        return self.signs.bits(rows, cols) + self.magnitudes.bits(rows, cols) + flips.bits(rows, cols)

    def encode(self, weight: np.ndarray, importance: np.ndarray | None = None) -> Encoded:
        """Fit or render the plane, code the flips, and give |W| to the magnitude coder."""
        rows, cols = matrix_shape(weight.shape)
        magnitudes = np.array(weight.reshape(rows, cols), dtype=np.float32, order="C")
        actual = pack_signs(magnitudes)
        np.abs(magnitudes, out=magnitudes)
        plane = self.signs.encode(actual, rows, cols)
        wrong = signs(self.signs, plane, rows, cols) ^ actual
        if wrong.any():
            wrong &= ~pack_signs(_indifferent(magnitudes, self.drop))
        sections = {"signs": plane, "flips": flips.encode(wrong, rows, cols)}
        sections = {name: section for name, section in sections.items() if section}
        sections.update(self.magnitudes.encode(magnitudes, importance))
        return Encoded(self.id, stored_knobs(self), weight.shape, dtype_name(weight.dtype), sections)

    def decode(self, encoded: Encoded, out: np.ndarray | None = None) -> np.ndarray:
        """Rebuild all rows; see `filler`."""
        return decode_matrix(encoded, out, self.filler(encoded))

    def filler(self, encoded: Encoded) -> Filler:
        """Fill magnitudes, then XOR the plane's and the flips' sign bits into them."""
        rows, cols = matrix_shape(tuple(encoded.shape))
        plane, flipped, parts = self.parts(encoded)
        magnitudes, block = self.magnitudes.decoder(parts, rows, cols)
        mask = flips.decode(flipped, rows, cols) if flipped else None
        grain = 1 if isinstance(magnitudes, Finishing) else None
        if isinstance(magnitudes, Finishing) and isinstance(self.signs, Turning):
            fill = _turned(magnitudes, self.signs.angles(plane, rows, cols), mask)
        else:
            fill = self._worded(magnitudes, plane, mask, rows, cols)
        return Filler(fill, block, direct=True, grain=grain)

    def _worded(
        self, magnitudes: Fill, plane: memoryview, mask: np.ndarray | None, rows: int, cols: int
    ) -> Callable[..., None]:
        """Signs as words, block of rows by block of rows."""

        def fill(start: int, stop: int, target: np.ndarray, stream: bool = False) -> None:
            words = np.empty((stop - start, word_count(cols)), np.uint64)
            self.signs.fill(plane, rows, cols, start, stop, words)
            if mask is not None:
                words ^= mask[start:stop]
            if isinstance(magnitudes, Finishing):
                magnitudes.finished(start, stop, words, NO_ANGLES, target, stream)
                return
            single = target.dtype == np.float32
            unsigned = target if single else np.empty(target.shape, np.float32)
            magnitudes(start, stop, unsigned)
            finish(unsigned, words, target, stream and not single)

        return fill

    def parts(self, encoded: Encoded) -> tuple[memoryview, memoryview, dict[str, Buffer]]:
        """The sections of the plane and of the flips, empty where there are none, and those of the magnitudes."""
        parts = dict(encoded.sections)
        plane, flipped = (_optional(parts, name) for name in ("signs", "flips"))
        if not plane and self.signs.bits(*matrix_shape(tuple(encoded.shape))):
            raise SubbitError("section 'signs' is missing", kind="section")
        return plane, flipped, parts

    def regain(self, encoded: Encoded, rows: np.ndarray, columns: np.ndarray) -> Encoded:
        """Multiply the magnitudes' scales by gains, which are positive: no sign changes."""
        magnitudes: Any = self.magnitudes
        return replace(encoded, sections=magnitudes.regain(encoded.sections, rows, columns))


def _turned(magnitudes: Finishing, angles: Angles, mask: np.ndarray | None) -> Callable[..., None]:
    """Signs from angles, within the magnitudes' own loop."""

    def fill(start: int, stop: int, target: np.ndarray, stream: bool = False) -> None:
        flipped = NO_SIGNS if mask is None else mask[start:stop]
        magnitudes.finished(start, stop, flipped, angles, target, stream)

    return fill


def _optional(sections: dict[str, Buffer], name: str) -> memoryview:
    """Take out a section that is left out, and never empty, where there is nothing to say."""
    if name not in sections:
        return memoryview(b"")
    section = memoryview(sections.pop(name)).cast("B")
    if not section:
        raise SubbitError(f"section {name!r} is empty", kind="section")
    return section


def _indifferent(magnitudes: np.ndarray, drop: float) -> np.ndarray:
    """Which weights may take either sign: zeros, and those up to `drop` × the mean magnitude."""
    if drop == 0:
        zeros: np.ndarray = magnitudes == 0
        return zeros
    means = row_means(magnitudes, np.ones(magnitudes.shape[1]))
    mean = sum(means.tolist()) / max(len(means), 1)
    indifferent: np.ndarray = magnitudes <= np.float32(drop * mean)
    return indifferent
