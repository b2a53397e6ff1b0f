"""Byte sections back to weights: check the model against the shape, then fill blocks of rows."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from subbit.codecs.blocks import rows_per_block
from subbit.codecs.magnitudes.base import Fill
from subbit.codecs.scalar.beyond import read_beyond
from subbit.codecs.scalar.density import MAX_CONTEXTS, Density
from subbit.codecs.scalar.parts import level_count, read_blob
from subbit.codecs.scalar.quantizer import CENTERED, LEVELS
from subbit.codecs.scalar.steps import StepCodes, Steps
from subbit.codecs.sections import section_bytes
from subbit.coders import integers, rans, varints, zigzag
from subbit.coders.frequencies import Frequencies
from subbit.errors import SubbitError
from subbit.kernels import kernel
from subbit.records import Buffer

__all__ = ["decoder"]


def decoder(found: Mapping[str, Buffer], rows: int, cols: int, signed: bool) -> tuple[Fill, int]:
    """Check the sections against the shape and return the filler of row blocks and its rows a block."""
    model = _read_model(section_bytes(found, "model"), rows, cols, signed)
    certain = model.frequencies.certain
    only = np.argmax(model.frequencies.table, axis=1).astype(np.uint8)
    codes = memoryview(b"") if certain else section_bytes(found, "codes").data
    if len(codes) != int(model.starts[-1]):
        raise SubbitError(f"codes hold {len(codes)} bytes, the model says {model.starts[-1]}", kind="section")
    positions, values = read_beyond(found.get("beyond"), rows * cols, signed)
    kernels, size = kernel("scalar"), rows_per_block(cols)
    with np.errstate(over="ignore"):
        row_steps, columns = model.step * model.steps.rows, model.steps.columns
        largest = row_steps.max() * columns.max()
    if not np.isfinite(largest):
        raise SubbitError("a step is not finite", kind="section")

    def fill(start: int, stop: int, block: np.ndarray) -> None:
        contexts = np.zeros(block.shape, np.uint8)
        density = model.density
        if density.contexts > 1:
            kernels.contexts(density.rows[start:stop], density.columns, density.base, density.contexts, contexts)
        if certain:
            symbols = only[contexts]
        else:
            symbols = np.empty(block.shape, np.uint8)
            index = start // size
            data = codes[int(model.starts[index]) : int(model.starts[index + 1])]
            flat = contexts.ravel() if density.contexts > 1 else None
            rans.decode(data, symbols.size, model.frequencies, flat, out=symbols.reshape(-1))
        kernels.fill(symbols, contexts, model.values, row_steps[start:stop], columns, block)
        first, last = np.searchsorted(positions, [start * cols, stop * cols])
        row, col = np.divmod(positions[first:last] - start * cols, cols)
        block[row, col] = values[first:last] * row_steps[start + row] * columns[col]

    return fill, size


@dataclass(frozen=True)
class _Model:
    step: np.float32
    density: Density
    steps: Steps
    frequencies: Frequencies
    values: np.ndarray  # float32 (contexts, symbols), in steps
    starts: np.ndarray  # where each block begins in `codes`


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
        blob, at = read_blob(view, at)
        row_codes = integers.decode(blob, rows, limit=1 << 16).astype(np.int32)
        blob, at = read_blob(view, at)
        density = Density(row_codes, integers.decode(blob, cols, limit=1 << 16).astype(np.int32), base, contexts)
    blob, at = read_blob(view, at)
    steps = StepCodes.from_bytes(blob, rows, cols).steps()
    frequencies, at = Frequencies.from_bytes(view, at)
    if frequencies.table.shape[0] != contexts or frequencies.table.shape[1] > (2 * LEVELS - 1 if signed else LEVELS):
        raise SubbitError(f"frequencies of shape {frequencies.table.shape} do not fit", kind="section")
    blob, at = read_blob(view, at)
    levels = min(CENTERED, level_count(frequencies.table.shape[1], signed))
    offsets = zigzag.unfold(integers.decode(blob, contexts * levels, limit=1 << 12)).reshape(contexts, levels)
    starts = np.zeros(-(-rows // rows_per_block(cols)) + 1, np.int64)
    if not frequencies.certain:
        blob, at = read_blob(view, at)
        np.cumsum(integers.decode(blob, starts.size - 1), out=starts[1:])
    if at != len(view):
        raise SubbitError(f"{len(view) - at} bytes too many in the model", kind="section")
    values = _values(offsets, frequencies.table.shape[1], signed)
    return _Model(step, density, steps, frequencies, values, starts)


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
