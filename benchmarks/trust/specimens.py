"""Good tensors of every codec: those of the goldens, and more shapes."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cache
from math import prod
from pathlib import Path

import numpy as np

import subbit
from benchmarks.trust import streams
from subbit import (
    Angle,
    Codec,
    DeadZone,
    Dense,
    Factors,
    Fitted,
    Hadamard,
    Hashed,
    LowBit,
    LowRank,
    OneOfN,
    Scales,
    Signed,
    Stored,
    Trellis,
    TrellisMagnitudes,
    Uniform,
    Vector,
)
from subbit.bits.packing import unpack_signs
from subbit.records import Encoded, matrix_shape
from subbit.signs import signs

__all__ = ["CODECS", "GOLDEN", "MOST_WEIGHTS", "SHAPES", "Case", "case", "count", "weights"]

GOLDEN = Path(subbit.__file__).parents[1] / "formats" / "golden"
MOST_WEIGHTS = 1 << 16


@dataclass(frozen=True)
class Case:
    """A tensor that an encoder wrote; `stream` is the section, the first byte and the length of its coded numbers."""

    name: str
    encoded: Encoded
    parent: np.ndarray | None = None
    stream: tuple[str, int, int] | None = None


CODECS: tuple[Codec, ...] = (
    DeadZone(1.0), DeadZone(4.0), Dense(), Factors(2.0), Factors(2.0, residual=0.5), Trellis(1.0, state_bits=8),
    Trellis(1.0, False, 8), Trellis(0.5, False, 8), Trellis(2.0, False, 9), Trellis(1.0, False, 8, group=4),
    Trellis(0.5, False, 8, group=8), Trellis(1.0, state_bits=8, rotation=7), Uniform(), Uniform(4), Uniform(3, 8),
    Signed(Angle(7), Vector(16, 32)), Signed(Angle(7), Vector(17, 32)), Signed(Hashed(7), Vector(16, 200)),
    Signed(Fitted(), Vector(24, 300)), Signed(Hadamard(7), Scales(2)), Signed(LowRank(3, 7), LowBit(1.0)),
    Signed(Stored(), OneOfN(4)), Signed(Hashed(7), OneOfN(8, "seeded", 7)), Signed(Stored(), TrellisMagnitudes(1.0)),
)  # fmt: skip
"""One for every way that a kernel can go."""

SHAPES = ((1, 1), (1, 7), (5, 64), (17, 33), (33, 128), (7, 320), (3, 5, 7), (257, 2))
"""Those that fit vectors, and those that fit nothing."""


def count() -> int:
    """How many good tensors there are: all of the golden files, less the largest, and one of each codec and shape."""
    return len(_goldens()) + len(CODECS) * len(SHAPES)


@cache
def case(number: int) -> Case:
    """One of them."""
    made_number = number - len(_goldens())
    if made_number < 0:
        return _goldens()[number]
    codec, shape = CODECS[made_number % len(CODECS)], SHAPES[made_number // len(CODECS)]
    encoded = codec.encode(weights(codec, shape))
    return Case(f"{codec} {shape}", encoded, None, streams.place(encoded, None))


def weights(codec: Codec, shape: tuple[int, ...]) -> np.ndarray:
    """Gaussian weights; where the codec has a template, most signs follow it."""
    weight = np.random.default_rng(6).standard_normal(shape).astype(np.float32)
    if isinstance(codec, Signed) and not codec.signs.bits(*matrix_shape(shape)):
        rows, cols = matrix_shape(shape)
        negative = unpack_signs(signs(codec.signs, b"", rows, cols), cols).reshape(shape)
        weight = np.where(negative, -1, 1) * (np.abs(weight) if weight.size % 2 else weight + np.float32(3))
    return weight.astype(np.float32)


@cache
def _goldens() -> list[Case]:
    found = []
    for path in sorted(GOLDEN.glob("*/*.sbit")):
        with subbit.open(path, base=path.parent / "parent.sbit") as file:
            for name in file.archive.tensors:
                tensor = file[name]
                if prod(tensor.shape) > MOST_WEIGHTS:
                    continue
                encoded, sections = tensor.encoded, tensor.encoded.sections
                encoded = replace(encoded, sections={key: bytes(value) for key, value in sections.items()})
                needed = encoded.codec in ("delta", "same") or "base" in str(encoded.knobs)
                parent = tensor.parent() if needed and tensor.parent else None
                found.append(Case(f"{path.name}:{name}", encoded, parent, streams.place(encoded, parent)))
    return found
