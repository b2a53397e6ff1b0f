"""What the goldens hold: every layout of every codec.

Weights come from the counter hash of TEMPLATES.md, by integers alone: bell-shaped, rows of uneven size.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from subbit import (
    Angle,
    Base,
    Codec,
    DeadZone,
    Delta,
    Dense,
    Factors,
    Fitted,
    Hadamard,
    Hashed,
    LowBit,
    LowRank,
    OneOfN,
    Same,
    Scales,
    Signed,
    Stored,
    Trellis,
    TrellisMagnitudes,
    Uniform,
    Vector,
)
from subbit.bits.packing import unpack_signs
from subbit.kernels import kernel
from subbit.records import matrix_shape
from subbit.signs import SignPlane, signs
from subbit_formats.dtypes import ITEM_SIZES, numpy_dtype

PARENT = "parent.sbit"
"""The golden that is the parent of `base.sbit`; for all others it changes nothing."""

Tensors = dict[str, tuple[np.ndarray, Codec] | tuple[np.ndarray, Codec, np.ndarray]]
"""Weights, codec and, for some, importance."""


def hashed(shape: tuple[int, ...], seed: int) -> np.ndarray:
    """Random uint64 words."""
    return np.asarray(kernel("counter_hash").words(seed, 0, 0, int(np.prod(shape)))).reshape(shape)


def weights(shape: tuple[int, ...], seed: int, dtype: str = "float32") -> np.ndarray:
    """Odd multiples of 2^-16 with a bell-shaped distribution, rows scaled by 1, 2, 4 or 8; rounded to the type."""
    fields = hashed(shape, seed)[..., None] >> np.arange(0, 64, 16, dtype=np.uint64) & np.uint64(1023)
    bell = fields.astype(np.int64).sum(axis=-1) - 2046
    rows = hashed((shape[0],) + (1,) * (len(shape) - 1), seed + 1) % np.uint64(4)
    values = (2 * bell + 1) << rows.astype(np.int64)
    return np.asarray(values.astype(np.float64) / 65536, numpy_dtype(dtype))


def cubed(shape: tuple[int, ...], seed: int) -> np.ndarray:
    """Weights with heavy tails. Cubes are exact before they are rounded, as powers need not be."""
    exact = weights(shape, seed, "float64")
    return (exact * exact * exact).astype(np.float32)


def templated(shape: tuple[int, ...], plane: SignPlane, seed: int, one_in: int = 0) -> np.ndarray:
    """Weights with the signs of a plane, `one_in` of them flipped (0: none)."""
    rows, cols = matrix_shape(shape)
    negative = unpack_signs(signs(plane, b"", rows, cols), cols).reshape(shape)
    if one_in:
        negative = negative ^ (hashed(shape, seed + 2) % np.uint64(one_in) == 0)
    magnitudes = np.abs(weights(shape, seed))
    return np.asarray(np.where(negative, -magnitudes, magnitudes))


def dense_types() -> Tensors:
    """Every element type, 0-d, 1-D and empty tensors; all too small to compress."""
    found: Tensors = {}
    for number, (name, size) in enumerate(sorted(ITEM_SIZES.items())):
        items = hashed((5 * -(-size // 8),), number).view(np.uint8)[: 5 * size]
        items = items & np.uint8(1) if name == "bool" else items
        found[name] = items.view(numpy_dtype(name)), Dense()
    found["empty"] = np.zeros((0, 5), np.float32), Dense()
    found["scalar"] = np.float32(2.5) * np.ones((), np.float32), Dense()
    return found


def dense_frames() -> Tensors:
    """Byte planes behind a zstd frame."""
    return {name: (weights((40, 30), 3, name), Dense()) for name in ("bfloat16", "float32", "float64")}


def uniform() -> Tensors:
    """Widths, groups that end early, odd shapes."""
    return {
        "2": (weights((5, 13), 10), Uniform(width=2, group=4)),
        "3": (weights((3, 2, 3, 3), 11, "float16"), Uniform(width=3, group=65536)),
        "5": (weights((3, 7, 5), 12, "bfloat16"), Uniform(width=5, group=1)),
        "8": (weights((6, 70), 13), Uniform()),
        "one": (weights((1, 1), 14), Uniform()),
        "zeros": (np.zeros((2, 3), np.float32), Uniform()),
    }


def sign_planes() -> Tensors:
    """Every kind as declared, with every 20th and with every second sign flipped; 64-column edges, several blocks."""
    kinds = (Angle(7), LowRank(3, 7), Hadamard(2**64 - 1), Hashed(7))
    found: Tensors = {"0": (np.zeros((3, 5), np.float32), Signed(Angle(), Scales()))}
    for plane in kinds:
        found[plane.kind] = templated((9, 150), plane, 20), Signed(plane, Scales())
        found[f"{plane.kind}-flips"] = templated((70, 66), plane, 21, 20), Signed(plane, Scales())
        found[f"{plane.kind}-mask"] = templated((3, 3, 7), plane, 22, 2), Signed(plane, Scales())
    found["fitted"] = templated((33, 40), Angle(9), 23), Signed(Fitted(), Scales())
    found["fitted-flips"] = templated((33, 40), Angle(9), 23, 10), Signed(Fitted(width=8), Scales())
    found["stored"] = weights((5, 67), 24), Signed(Stored(), Scales())
    found["dropped"] = templated((16, 16), Hashed(1), 25, 8), Signed(Hashed(1), Scales(), drop=0.5)
    return found


def many_flips() -> Tensors:
    """So many flips that their gaps take several lanes."""
    sizes = {"2": 190, "16": 530}
    return {name: (templated((n, n), Hashed(n), 26, 4), Signed(Hashed(n), Scales())) for name, n in sizes.items()}


def magnitudes() -> Tensors:
    """Every kind with both of its number formats; codes of 1 to 9 bits; vectors that end early."""
    columns = np.abs(weights((1, 9), 30))
    falling = np.concatenate([np.ldexp(columns, -k) for k in range(14)]).astype(np.float32)
    parts: dict[str, tuple[np.ndarray, Any]] = {
        "scales-1": (weights((7, 12), 31), Scales()),
        "scales-3": (weights((20, 30), 32, "float16"), Scales(rank=3)),
        "scales-half": (falling, Scales()),
        "vector": (weights((40, 41), 33), Vector(dim=4, entries=16)),
        "vector-9": (weights((40, 40), 34), Vector(dim=2, entries=300)),
        "vector-half": (weights((4, 19), 35, "bfloat16"), Vector(seed=5)),
        "vector-narrow": (weights((2, 3), 36), Vector(dim=8)),
        "vector-one": (weights((3, 5), 37), Vector(dim=5, entries=1)),
        "lowbit": (weights((30, 40), 38), LowBit(0.6)),
        "lowbit-contexts": (uneven((96, 96), 39), LowBit(1.0)),
        "lowbit-beyond": (outliers((48, 64), 41), LowBit(1.5)),
        "one": (weights((1, 1), 42), LowBit(8.0)),
    }
    found: Tensors = {name: (weight, Signed(Stored(), part)) for name, (weight, part) in parts.items()}
    found["lowbit-steps"] = weights((64, 50), 40), Signed(Stored(), LowBit(1.0)), importance((64, 50), 44)
    return found


def one_of_n() -> Tensors:
    """Both masks and both number formats of factors; places of 1 to 6 bits, groups that end early."""
    found: Tensors = {f"{2**w}": (weights((5, 67), 100 + w), Signed(Stored(), OneOfN(2**w))) for w in range(1, 7)}
    found["falling"] = magnitudes()["scales-half"][0], Signed(Stored(), OneOfN(2))
    found["narrow"] = weights((3, 2, 3), 107, "bfloat16"), Signed(Hashed(7), OneOfN(16))
    found["seeded"] = templated((40, 30), Hashed(7), 108), Signed(Hashed(7), OneOfN(8, "seeded", 7))
    found["seeded-flips"] = weights((9, 33), 109, "float16"), Signed(Angle(), OneOfN(4, "seeded", 2**64 - 1))
    return found


def uneven(shape: tuple[int, int], seed: int) -> np.ndarray:
    """Weights whose columns differ in size, too: density contexts pay."""
    columns = (hashed((shape[1],), seed + 5) % np.uint64(5)).astype(np.int32)
    return np.asarray(np.ldexp(weights(shape, seed), -columns), np.float32)


def outliers(shape: tuple[int, int], seed: int) -> np.ndarray:
    """Weights of which a few are 2^10 times larger: beyond the last level of a scalar quantizer."""
    factors = np.where(hashed(shape, seed + 3) % np.uint64(500) == 0, 1024, 1)
    return np.asarray(factors * weights(shape, seed), np.float32)


def importance(shape: tuple[int, int], seed: int) -> np.ndarray:
    """Powers of 16 for rows times powers of 4 for columns."""
    rows, columns = hashed((shape[0], 1), seed) % np.uint64(3), hashed((1, shape[1]), seed + 1) % np.uint64(4)
    return np.ldexp(1.0, (4 * rows.astype(np.int64) + 2 * columns.astype(np.int64)))


def deadzone() -> Tensors:
    """Odd shapes and element types, steps of rows and columns, outliers."""
    return {
        "0": (np.zeros((4, 5), np.float32), DeadZone()),
        "1x1": (weights((1, 1), 50), DeadZone()),
        "1x7": (weights((1, 7), 51), DeadZone(4.0)),
        "3-d": (weights((6, 5, 7), 52, "bfloat16"), DeadZone(2.0)),
        "4-d": (weights((8, 6, 3, 3), 53, "float16"), DeadZone(1.0)),
        "double": (weights((30, 31), 54, "float64"), DeadZone(3.0)),
        "huge": (np.ldexp(weights((9, 40), 58), 120), DeadZone(2.0)),
        "steps": (weights((64, 50), 56), DeadZone(1.0), importance((64, 50), 59)),
        "beyond": (outliers((48, 64), 57), DeadZone(1.5)),
    }


def deadzone_contexts() -> Tensors:
    """Density contexts."""
    return {"w": (uneven((96, 96), 60), DeadZone(1.2))}


def deadzone_blocks() -> Tensors:
    """More rows than fit into one block of 2^18 weights, nearly all of them 0."""
    weight = weights((520, 512), 70) * (hashed((520, 512), 71) % np.uint64(400) == 0)
    return {"w": (weight, DeadZone(0.025))}


def parents() -> Tensors:
    """The parent's tensors: every type that `base` and `delta` may start from, and one that only `same` can take."""
    found = {name: weights((9, 70), 120 + k, name) for k, name in enumerate(("bfloat16", "float16", "float64"))}
    found |= {"signs": weights((9, 66), 123), "signs-flips": weights((20, 66), 124), "delta": weights((6, 5, 7), 125)}
    found |= {"same": weights((5, 30), 126, "bfloat16"), "same-int": hashed((5,), 127)}
    return {name: (weight, Dense()) for name, weight in found.items()}


def base() -> Tensors:
    """Signs of the parent as they are and with flips, differences from it, and tensors that are the parent's."""
    made: Tensors = {}
    for name, (parent, *_) in parents().items():
        step = np.ldexp(weights(parent.shape, 130), -4) if parent.ndim > 1 else parent
        if name.startswith("signs"):
            turned = hashed(parent.shape, 131) % np.uint64(20) == 0 if name == "signs-flips" else np.bool_(False)
            signed = np.copysign(weights(parent.shape, 132), np.where(turned, -parent, parent))
            made[name] = signed, Signed(Base().given(parent), Scales())
        elif name.startswith("same"):
            made[name] = parent, Same().given(parent)
        else:
            tuned = parent.astype(np.float32) + step
            made[name] = tuned.astype("f2" if name == "bfloat16" else "f4"), Delta(rate=1.0).given(parent)
    return made


def trellis() -> Tensors:
    """Both kinds of rates, both shapes of values, rows wider than a tile, rates below and above a bit, rotation."""
    heavy = cubed((24, 31), 120)
    found: Tensors = {
        "1x1": (weights((1, 1), 121), Trellis(8.0, state_bits=8)),
        "3-d": (weights((5, 4, 7), 122, "bfloat16"), Trellis(1.0, False)),
        "heavy": (heavy, Trellis(0.5, False, 8)),
        "heavy-variable": (heavy, Trellis(2.0, state_bits=9)),
        "low": (weights((40, 30), 123), Trellis(0.125, False)),
        "rotated": (outliers((20, 37), 124), Trellis(1.0, rotation=2**64 - 1)),
        "rotated-row": (weights((1, 9), 125, "float16"), Trellis(3.0, rotation=7)),
        "uneven": (uneven((96, 80), 126), Trellis(0.667)),
        "wide": (weights((5, 4100), 127), Trellis(0.3, state_bits=8)),
        "weighed": (weights((64, 50), 129), Trellis(2.0, state_bits=8), importance((64, 50), 130)),
        "zeros": (np.zeros((4, 5), np.float32), Trellis()),
    }
    parts = {"": TrellisMagnitudes(), "-fixed": TrellisMagnitudes(1.0, False, 8), "-low": TrellisMagnitudes(0.1)}
    return found | {
        f"magnitudes{name}": (uneven((50, 90), 128), Signed(Stored(), part)) for name, part in parts.items()
    }


def trellis_groups() -> Tensors:
    """Two, four and eight weights that take their bits together: whole bits and not, rows that end within a group."""
    heavy = cubed((24, 31), 146)
    return {
        "eight": (weights((20, 64), 147), Trellis(0.625, False, 8, group=8)),
        "four": (uneven((96, 80), 148), Trellis(1.0, False, group=4)),
        "heavy": (heavy, Trellis(2.0, False, 8, group=2)),
        "low": (weights((40, 30), 149), Trellis(0.125, False, 9, group=4)),
        "magnitudes": (uneven((50, 90), 150), Signed(Stored(), TrellisMagnitudes(0.7, False, 8, 4))),
        "wide": (weights((5, 4100), 151), Trellis(1.0, False, 8, group=8)),
        "zeros": (np.zeros((4, 5), np.float32), Trellis(1.0, False, group=4)),
    }


def factors() -> Tensors:
    """Alone and with a residual; one latent, zeros, odd shapes, rows of many sizes."""
    uneven_rows = np.ldexp(weights((40, 70), 140), -(np.arange(40)[:, None] % 9)).astype(np.float32)
    uneven_rows[5], uneven_rows[:, 3] = 0, 0
    return {
        "0": (np.zeros((4, 5), np.float32), Factors()),
        "1x1": (weights((1, 1), 141), Factors()),
        "3-d": (weights((6, 5, 7), 142, "bfloat16"), Factors(2.0)),
        "double": (weights((30, 31), 143, "float64"), Factors(4.0, residual=0.6)),
        "huge": (np.ldexp(weights((9, 40), 144), 120), Factors(2.0)),
        "residual": (weights((64, 50), 145), Factors(2.0, residual=0.5)),
        "uneven": (uneven_rows, Factors(1.0)),
    }


FILES: dict[str, Callable[[], Tensors]] = {
    "base": base,
    "deadzone": deadzone,
    "deadzone-blocks": deadzone_blocks,
    "deadzone-contexts": deadzone_contexts,
    "dense-frames": dense_frames,
    "dense-types": dense_types,
    "factors": factors,
    "magnitudes": magnitudes,
    "many-flips": many_flips,
    "one-of-n": one_of_n,
    "parent": parents,
    "signs": sign_planes,
    "trellis": trellis,
    "trellis-groups": trellis_groups,
    "uniform": uniform,
}
