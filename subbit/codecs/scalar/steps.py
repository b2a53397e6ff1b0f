"""The step of every row or group, relative to the tensor's, on a grid of quarter octaves.

One step for the whole tensor gives the least squared error. Steps a row or a group follow the weights' own
size (equal relative error) or, where importance is given, its inverse square root.
"""

from __future__ import annotations

import numpy as np

from subbit.codecs.scalar.density import quarter_octaves, row_means
from subbit.codecs.scalar.quantizer import Steps
from subbit.coders import integers, varints
from subbit.errors import SubbitError
from subbit.records import Buffer

__all__ = ["RANGE", "choose_steps", "decode_steps", "encode_steps", "in_range", "steps_of"]

RANGE = 64
"""Quarter octaves kept below the largest step."""
_QUARTERS = np.array([1.0, 1.189207115002721, 1.4142135623730951, 1.681792830507429])
_EXTREME = 100  # octaves from 1 beyond which steps or their inverses could leave float32
_SUBNORMAL = -126  # octave below which float32 loses digits, and steps with it
_LARGEST = np.float32(1.5e38)  # larger weights are cut here: a level is rebuilt at less than twice its weights


def in_range(matrix: np.ndarray) -> tuple[np.ndarray, int]:
    """A matrix whose steps float32 can hold, and the power of two that it was divided by.

    Nearly always that is the matrix itself and 0. One beyond 2^±100 is scaled; one of subnormal numbers alone
    (below 1.2e-38) becomes zeros.
    """
    peak = max(matrix.max(initial=0), -matrix.min(initial=0))
    exponent = int(np.frexp(peak)[1])
    if peak == 0 or abs(exponent) <= _EXTREME:
        return matrix, 0
    if exponent <= _SUBNORMAL:
        return np.zeros_like(matrix), 0
    return np.ldexp(np.clip(matrix, -_LARGEST, _LARGEST), -exponent), exponent


def choose_steps(matrix: np.ndarray, group: int, importance: np.ndarray | None) -> tuple[Steps, bytes]:
    """Relative steps for groups of `group` columns (0: one step for all, unless importance asks for one a row)."""
    rows, cols = matrix.shape
    if group == 0 and importance is None:
        return steps_of(np.zeros((1, 1), np.int64), rows, max(cols, 1)), b""
    width = min(group or cols, cols)
    scale = np.empty((rows, -(-cols // width)))
    for g in range(scale.shape[1]):
        part = slice(g * width, min((g + 1) * width, cols))
        if importance is None:
            source = matrix[:, part]
        else:
            source = np.broadcast_to(importance, matrix.shape)[:, part].astype(np.float64)
        scale[:, g] = row_means(source, np.ones(source.shape[1]))
    codes = quarter_octaves(scale) if importance is None else -(quarter_octaves(scale) // 2)
    used = codes[scale > 0] if (scale > 0).any() else np.zeros(1, np.int64)
    if importance is not None:  # what costs nothing takes the largest step that anything else has
        codes = np.minimum(codes, used.max())
    codes = np.maximum(codes, used.max() - RANGE)
    codes -= codes.min()
    return steps_of(codes, rows, width), encode_steps(codes, width)


def encode_steps(codes: np.ndarray, width: int) -> bytes:
    """Quarter octaves 0 … RANGE of every row and group of `width` columns, entropy-coded."""
    return varints.write([width]) + integers.encode(codes.ravel())


def decode_steps(data: Buffer, rows: int, cols: int) -> Steps:
    """Read relative steps back; an empty blob means one step for all."""
    view = memoryview(data).cast("B")
    if len(view) == 0:
        return steps_of(np.zeros((1, 1), np.int64), rows, max(cols, 1))
    width, at = varints.read(view, 0)
    if not 1 <= width <= cols:
        raise SubbitError(f"groups of {width} columns in {cols}", kind="section")
    groups = -(-cols // width)
    codes = integers.decode(view[at:], rows * groups, limit=RANGE)
    return steps_of(codes.reshape(rows, groups), rows, width)


def steps_of(codes: np.ndarray, rows: int, group: int) -> Steps:
    """The steps that codes in quarter octaves stand for: float32, and the same on every machine."""
    relative = np.ldexp(_QUARTERS[codes & 3], (codes >> 2).astype(np.int64)).astype(np.float32)
    return Steps(np.ascontiguousarray(np.broadcast_to(relative, (rows, relative.shape[1]))), group)
