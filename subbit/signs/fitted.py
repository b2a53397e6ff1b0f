"""The rank-2 template with stored angles: found from the signs, for matrices that nobody declared."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from subbit.bits.packing import pack, packed_size, unpack
from subbit.kernels import kernel
from subbit.records import Buffer
from subbit.signs.base import check_knob

__all__ = ["Fitted"]

_ROUNDS = 40
_POWER_STEPS = 8
_SAMPLE = 512
_MARGIN = 1.2

_ARCTANGENTS = (
    536870912, 316933406, 167458907, 85004756, 42667331, 21354465, 10679838, 5340245,
    2670163, 1335087, 667544, 333772, 166886, 83443, 41722, 20861,
)  # fmt: skip
"""atan(2^-i) in units of 2^-32 turns, rounded."""


@dataclass(frozen=True)
class Fitted:
    """T_ij = top bit of (φ_j + a_i) with an angle of `width` bits for every row and column.

    Costs width · (rows + cols) bits; width 11 gives 99.987 % of the signs of a true template of 4096².
    Fitting starts from the two strongest singular directions of the sign matrix (subspace iteration,
    Halko, Martinsson & Tropp 2011, §4.5) and then gives rows and columns, in turn, the angle that agrees
    with most of their signs, exactly, until nothing improves. All in integers: the same everywhere.
    """

    kind: ClassVar[str] = "fitted"
    width: int = 11

    def __post_init__(self) -> None:
        check_knob(self.kind, "width", self.width, 8, 16)

    def bits(self, rows: int, cols: int) -> int:
        """The angles, rounded up to a byte."""
        return 8 * packed_size(rows + cols, self.width)

    def encode(self, words: np.ndarray, rows: int, cols: int) -> bytes:
        """Find the angles: seconds for 4096² signs, and a hopeless matrix takes longest."""
        if rows * cols == 0:
            return bytes(packed_size(rows + cols, self.width))
        transposed = kernel("fitting").transpose(words, cols)
        directions = _strongest_directions(words, transposed, cols)
        col_angles = _turns(*directions.T) >> (32 - self.width)
        agreeing = -1
        for _ in range(_ROUNDS):
            row_angles, _ = self._best(words, col_angles)
            col_angles, now_agreeing = self._best(transposed, row_angles)
            if now_agreeing == agreeing:
                break
            agreeing = now_agreeing
        return pack(np.concatenate([row_angles, col_angles]), self.width).tobytes()

    def fill(self, data: Buffer, rows: int, cols: int, start: int, stop: int, out: np.ndarray) -> None:
        """One wrapping addition a weight; a SubbitError for a wrong length or a filled last byte."""
        row_angles, col_angles = self.angles(data, rows, cols)
        kernel("sign_planes").angle(row_angles[start:stop], col_angles, out)

    def angles(self, data: Buffer, rows: int, cols: int) -> tuple[np.ndarray, np.ndarray]:
        """Those of all rows and of all columns, uint16 in whole turns."""
        angles = unpack(data, rows + cols, self.width) << np.uint16(16 - self.width)
        return angles[:rows], angles[rows:]

    @staticmethod
    def promising(words: np.ndarray, rows: int, cols: int) -> bool:
        """Whether two directions hold more of a sample of the signs than they do in random ones.

        Milliseconds for any size. Random ±1 have no singular value above √rows + √cols (Bai & Yin 1993); up
        to about 40 % of flips a template stands out of that. True does not promise a template.
        """
        sample, height, width = _sample(words, rows, cols)
        if height * width == 0:
            return False
        transposed = kernel("fitting").transpose(sample, width)
        # 12 bits are enough here, and the squares of the sums then fit into 64
        directions = _strongest_directions(sample, transposed, width) >> 8
        images = kernel("fitting").products(sample, directions)
        energy = sum(_dot(images[:, k], images[:, k]) / max(1, _dot(*directions.T[[k, k]])) for k in (0, 1))
        return energy > _MARGIN * 2 * (math.sqrt(height) + math.sqrt(width)) ** 2

    def _best(self, words: np.ndarray, others: np.ndarray) -> tuple[np.ndarray, int]:
        """The best angle of every row for the given column angles, and how many signs then agree."""
        half = 1 << (self.width - 1)
        turned = -others % (2 * half)
        places = turned % half
        order = np.argsort(places, kind="stable")
        enters = (turned < half).astype(np.uint8)[order]
        angles, agreeing = kernel("fitting").best_angles(words, order, enters, places[order], half)
        return angles, int(agreeing)


def _strongest_directions(words: np.ndarray, transposed: np.ndarray, cols: int) -> np.ndarray:
    """An orthogonal integer basis (cols, 2) close to the two strongest right singular vectors."""
    products = kernel("fitting").products
    hashed = kernel("counter_hash").words(0, 0, 0, 2 * cols).reshape(cols, 2)
    basis = _orthogonal((hashed >> np.uint64(44)).astype(np.int64) - (1 << 19))
    for _ in range(_POWER_STEPS):
        basis = _orthogonal(products(transposed, _orthogonal(products(words, basis))))
    return basis


def _orthogonal(vectors: np.ndarray) -> np.ndarray:
    """Two integer vectors made orthogonal and equally long, up to rounding; entries of at most 20 bits."""
    bits = min(20, (62 - len(vectors).bit_length()) // 2)
    first, second = (_scaled(vector, bits) for vector in vectors.T)
    square = max(1, _dot(first, first))
    second = _scaled(second - ((first * ((_dot(first, second) << 16) // square)) >> 16), bits)
    if not second.any():  # rank one: there is no second direction
        return np.stack([first, second], axis=1)
    ratio = math.isqrt((square << 32) // _dot(second, second))
    if ratio > 1 << 16:
        first = (first << 16) // ratio
    else:
        second = (second * ratio) >> 16
    return np.stack([first, second], axis=1)


def _scaled(vector: np.ndarray, bits: int) -> np.ndarray:
    """Shift the entries so that the largest has `bits` bits."""
    shift = bits - int(np.abs(vector).max()).bit_length()
    return vector << shift if shift >= 0 else vector >> -shift


def _dot(a: np.ndarray, b: np.ndarray) -> int:
    return int((a * b).sum())


def _turns(x: np.ndarray, y: np.ndarray) -> np.ndarray:
    """The direction of integer vectors as a fraction of a turn, 0 … 2^32 − 1 (CORDIC, Volder 1959)."""
    left = x < 0
    x, y = np.where(left, -x, x) << 20, np.where(left, -y, y) << 20
    turns = np.where(left, 1 << 31, 0)
    for i, step in enumerate(_ARCTANGENTS):
        up = np.where(y > 0, 1, -1)
        x, y = x + up * (y >> i), y - up * (x >> i)
        turns = turns + up * step
    return turns % (1 << 32)


def _sample(words: np.ndarray, rows: int, cols: int) -> tuple[np.ndarray, int, int]:
    """At most 512 × 512 signs, spread evenly over the matrix."""
    chosen_rows = np.arange(min(rows, _SAMPLE)) * rows // max(1, min(rows, _SAMPLE))
    if cols <= _SAMPLE:
        return words[chosen_rows], len(chosen_rows), cols
    chosen_words = np.arange(_SAMPLE // 64) * (cols // 64) // (_SAMPLE // 64)
    return words[np.ix_(chosen_rows, chosen_words)], len(chosen_rows), _SAMPLE
