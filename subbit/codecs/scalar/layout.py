"""A finished quantization as byte sections, and back.

`model`: step (float32), then varints and length-prefixed blobs: context codes, relative steps, centres,
frequencies, bytes of each block. `codes`: entropy-coded symbols, one rANS stream a block of rows. `beyond`
(only where needed): positions and integer values of weights past the last level.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from subbit.codecs.blocks import parallel, rows_per_block
from subbit.codecs.magnitudes.base import Fill
from subbit.codecs.scalar.density import MAX_CONTEXTS, Density
from subbit.codecs.scalar.quantizer import CENTERED, LEVELS, Steps
from subbit.codecs.scalar.search import Quantized
from subbit.codecs.scalar.steps import decode_steps
from subbit.coders import integers, rans, varints, zigzag
from subbit.coders.frequencies import Frequencies
from subbit.errors import SubbitError
from subbit.kernels import kernel
from subbit.records import Buffer

__all__ = ["SECTION_NAMES", "decoder", "sections"]

SECTION_NAMES = frozenset({"model", "codes", "beyond"})


def sections(result: Quantized, step_codes: bytes, exponent: int = 0) -> dict[str, bytes]:
    """Write down a quantization of weights × 2^-exponent; `step_codes` are the relative steps as `steps.py` wrote them."""
    scene, frequencies, density = result.scene, result.found.frequencies, result.scene.density
    blocks = _encode_blocks(result)
    model = bytearray(_stored_step(result, exponent).astype("<f4").tobytes())
    model += varints.write([density.contexts, density.base])
    if density.contexts > 1:
        _append(model, integers.encode(density.rows))
        _append(model, integers.encode(density.columns))
    _append(model, step_codes)
    model += frequencies.to_bytes()
    levels = _level_count(frequencies.table.shape[1], scene.signed)
    _append(model, integers.encode(zigzag.fold(result.tables.offsets[:, :levels].ravel().astype(np.int64))))
    if frequencies.table.shape[1] > 1:
        _append(model, integers.encode(np.array([len(block) for block in blocks], np.int64)))
    out = {"model": bytes(model)}
    if frequencies.table.shape[1] > 1:
        out["codes"] = b"".join(blocks)
    if result.found.beyond:
        out["beyond"] = _encode_beyond(result)
    return out


def _stored_step(result: Quantized, exponent: int) -> np.float32:
    """The step of the original weights; where float32 ends, the nearest that every group can be multiplied with."""
    smallest, largest = 2.0**-149, 2.0**127 / float(result.scene.steps.relative.max())
    return np.float32(min(max(math.ldexp(float(result.step), exponent), smallest), largest))


def _append(model: bytearray, blob: bytes) -> None:
    model += varints.write([len(blob)]) + blob


def _encode_blocks(result: Quantized) -> list[bytes]:
    matrix, density = result.scene.matrix, result.scene.density
    rows, cols = matrix.shape
    size = rows_per_block(cols)
    blocks = [b""] * -(-rows // size)
    contexts_of = kernel("scalar").contexts

    def task(index: int) -> None:
        part = slice(index * size, min((index + 1) * size, rows))
        symbols, flat = result.symbols[part], None
        if density.contexts > 1:
            contexts = np.empty(symbols.shape, np.uint8)
            contexts_of(density.rows[part], density.columns, density.base, density.contexts, contexts)
            flat = contexts.ravel()
        blocks[index] = rans.encode(symbols.ravel(), result.found.frequencies, flat)

    if result.found.frequencies.table.shape[1] > 1:
        parallel(task, len(blocks))
    return blocks


def _encode_beyond(result: Quantized) -> bytes:
    """Gaps between positions, then zigzag values, as two blobs."""
    scene, steps = result.scene, result.scene.steps
    signed = scene.signed
    last = np.isin(result.symbols.ravel(), [2 * LEVELS - 3, 2 * LEVELS - 2] if signed else [LEVELS - 1])
    positions = np.flatnonzero(last)
    row, col = np.divmod(positions, scene.matrix.shape[1])
    inverse = np.float32(1) / (result.step * steps.relative[row, col // steps.group])
    scaled = scene.matrix[row, col] * inverse
    far = np.abs(scaled) >= np.float32(LEVELS - 1) + np.float32(0.5)
    positions, values = (
        positions[far],
        np.rint(np.minimum(np.maximum(scaled[far], -(2.0**30)), 2.0**30)).astype(np.int64),
    )
    gaps = np.diff(positions, prepend=-1) - 1
    out = bytearray(varints.write([positions.size]))
    _append(out, integers.encode(gaps))
    _append(out, integers.encode(zigzag.fold(values)))
    return bytes(out)


@dataclass(frozen=True)
class _Model:
    step: np.float32
    density: Density
    steps: Steps
    frequencies: Frequencies
    values: np.ndarray  # float32 (contexts, symbols), in steps
    starts: np.ndarray  # where each block begins in `codes`


def decoder(found: Mapping[str, Buffer], rows: int, cols: int, signed: bool) -> tuple[Fill, int]:
    """Check the sections against the shape and return the filler of row blocks and its rows a block."""
    model = _read_model(_section(found, "model"), rows, cols, signed)
    empty = model.frequencies.table.shape[1] == 1
    codes = memoryview(b"") if empty else memoryview(_section(found, "codes")).cast("B")
    if len(codes) != int(model.starts[-1]):
        raise SubbitError(f"codes hold {len(codes)} bytes, the model says {model.starts[-1]}", kind="section")
    positions, values = _read_beyond(found.get("beyond"), rows * cols, signed)
    kernels, size = kernel("scalar"), rows_per_block(cols)
    with np.errstate(over="ignore"):
        relative = np.ascontiguousarray(model.step * model.steps.relative)
    if not np.isfinite(relative).all():
        raise SubbitError("a step is not finite", kind="section")

    def fill(start: int, stop: int, block: np.ndarray) -> None:
        contexts = np.zeros(block.shape, np.uint8)
        density = model.density
        if density.contexts > 1:
            kernels.contexts(density.rows[start:stop], density.columns, density.base, density.contexts, contexts)
        symbols = np.zeros(block.shape, np.uint8)
        if not empty:
            index = start // size
            data = codes[int(model.starts[index]) : int(model.starts[index + 1])]
            flat = contexts.ravel() if density.contexts > 1 else None
            rans.decode(data, symbols.size, model.frequencies, flat, out=symbols.reshape(-1))
        kernels.fill(symbols, contexts, model.values, relative[start:stop], model.steps.group, block)
        first, last = np.searchsorted(positions, [start * cols, stop * cols])
        row, col = np.divmod(positions[first:last] - start * cols, cols)
        block[row, col] = values[first:last] * relative[start + row, col // model.steps.group]

    return fill, size


def _section(found: Mapping[str, Buffer], name: str) -> Buffer:
    if name not in found:
        raise SubbitError(f"section {name!r} is missing", kind="section")
    return found[name]


def _read_model(data: Buffer, rows: int, cols: int, signed: bool) -> _Model:
    view = memoryview(data).cast("B")
    if len(view) < 4:
        raise SubbitError("the model is cut off", kind="section")
    step = np.frombuffer(view[:4], "<f4")[0].astype(np.float32)
    if not (np.isfinite(step) and step > 0):
        raise SubbitError(f"the step {step} is not a positive number", kind="section")
    contexts, at = varints.read(view, 4)
    base, at = varints.read(view, at)
    if not 1 <= contexts <= MAX_CONTEXTS or base > 1 << 16:
        raise SubbitError(f"no model has {contexts} contexts from {base}", kind="section")
    density = Density.none(rows, cols)
    if contexts > 1:
        blob, at = _blob(view, at)
        row_codes = integers.decode(blob, rows, limit=1 << 16).astype(np.int32)
        blob, at = _blob(view, at)
        density = Density(row_codes, integers.decode(blob, cols, limit=1 << 16).astype(np.int32), base, contexts)
    blob, at = _blob(view, at)
    steps = decode_steps(blob, rows, cols)
    frequencies, at = Frequencies.from_bytes(view, at)
    if frequencies.table.shape[0] != contexts or frequencies.table.shape[1] > (2 * LEVELS - 1 if signed else LEVELS):
        raise SubbitError(f"frequencies of shape {frequencies.table.shape} do not fit", kind="section")
    blob, at = _blob(view, at)
    levels = min(CENTERED, _level_count(frequencies.table.shape[1], signed))
    offsets = zigzag.unfold(integers.decode(blob, contexts * levels, limit=1 << 12)).reshape(contexts, levels)
    starts = np.zeros(-(-rows // rows_per_block(cols)) + 1, np.int64)
    if frequencies.table.shape[1] > 1:
        blob, at = _blob(view, at)
        np.cumsum(integers.decode(blob, starts.size - 1), out=starts[1:])
    if at != len(view):
        raise SubbitError(f"{len(view) - at} bytes too many in the model", kind="section")
    values = _values(offsets, frequencies.table.shape[1], signed)
    return _Model(step, density, steps, frequencies, values, starts)


def _blob(view: memoryview, at: int) -> tuple[memoryview, int]:
    size, at = varints.read(view, at)
    if at + size > len(view):
        raise SubbitError("the model is cut off", kind="section")
    return view[at : at + size], at + size


def _level_count(alphabet: int, signed: bool) -> int:
    """Levels of an alphabet: both signs of a level are one."""
    return alphabet // 2 + 1 if signed else alphabet


def _values(offsets: np.ndarray, alphabet: int, signed: bool) -> np.ndarray:
    """What every symbol stands for, in steps: exact multiples of 1/256 in float32."""
    symbols = np.arange(alphabet)
    levels = (symbols + 1) // 2 if signed else symbols
    fixed = np.broadcast_to(levels * 256, (offsets.shape[0], alphabet)).copy()
    near = levels < CENTERED
    fixed[:, near] += offsets[:, levels[near]]
    if not signed and int(fixed.min()) < 0:
        raise SubbitError("a magnitude is negative", kind="section")
    if signed:
        fixed = np.where((symbols > 0) & (symbols % 2 == 0), -fixed, fixed)
    return (fixed / 256).astype(np.float32)


def _read_beyond(data: Buffer | None, weights: int, signed: bool) -> tuple[np.ndarray, np.ndarray]:
    if data is None:
        return np.empty(0, np.int64), np.empty(0, np.float32)
    view = memoryview(data).cast("B")
    count, at = varints.read(view, 0)
    if count > weights:
        raise SubbitError(f"{count} weights beyond the last level of {weights}", kind="section")
    blob, at = _blob(view, at)
    positions = np.cumsum(integers.decode(blob, count, limit=weights) + 1) - 1
    blob, at = _blob(view, at)
    values = zigzag.unfold(integers.decode(blob, count))
    if not signed and values.size and int(values.min()) < 0:
        raise SubbitError("a magnitude is negative", kind="section")
    if at != len(view) or (count and int(positions[-1]) >= weights):
        raise SubbitError("a position beyond the last weight", kind="section")
    return positions, values.astype(np.float32)
