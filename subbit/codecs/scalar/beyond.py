"""Section `beyond`: weights past the last level, by place and by their value in whole steps."""

from __future__ import annotations

import numpy as np

from subbit.codecs.scalar.parts import append_blob, read_blob
from subbit.codecs.scalar.quantizer import LEVELS
from subbit.codecs.scalar.search import Quantized
from subbit.coders import integers, varints, zigzag
from subbit.errors import SubbitError
from subbit.records import Buffer

__all__ = ["read_beyond", "write_beyond"]


def write_beyond(result: Quantized) -> bytes:
    """Gaps between positions, then zigzag values, as two blobs."""
    scene, steps = result.scene, result.scene.steps
    signed = scene.signed
    last = np.isin(result.symbols.ravel(), [2 * LEVELS - 3, 2 * LEVELS - 2] if signed else [LEVELS - 1])
    positions = np.flatnonzero(last)
    row, col = np.divmod(positions, scene.matrix.shape[1])
    inverse = (np.float32(1) / (result.step * steps.rows[row])) * (np.float32(1) / steps.columns[col])
    scaled = result.targets[row, col] * inverse
    far = np.abs(scaled) >= np.float32(LEVELS - 1) + np.float32(0.5)
    positions, values = (
        positions[far],
        np.rint(np.minimum(np.maximum(scaled[far], -(2.0**30)), 2.0**30)).astype(np.int64),
    )
    gaps = np.diff(positions, prepend=-1) - 1
    out = bytearray(varints.write([positions.size]))
    append_blob(out, integers.encode(gaps))
    append_blob(out, integers.encode(zigzag.fold(values)))
    return bytes(out)


def read_beyond(data: Buffer | None, weights: int, signed: bool) -> tuple[np.ndarray, np.ndarray]:
    """Positions (rising) and values in steps; raises :class:`SubbitError` (kind "section") for damage."""
    if data is None:
        return np.empty(0, np.int64), np.empty(0, np.float32)
    view = memoryview(data).cast("B")
    count, at = varints.read(view, 0)
    if count > weights:
        raise SubbitError(f"{count} weights beyond the last level of {weights}", kind="section")
    blob, at = read_blob(view, at)
    positions = np.cumsum(integers.decode(blob, count, limit=weights) + 1) - 1
    blob, at = read_blob(view, at)
    values = zigzag.unfold(integers.decode(blob, count))
    if not signed and values.size and int(values.min()) < 0:
        raise SubbitError("a magnitude is negative", kind="section")
    if at != len(view) or (count and int(positions[-1]) >= weights):
        raise SubbitError("a position beyond the last weight", kind="section")
    return positions, values.astype(np.float32)
