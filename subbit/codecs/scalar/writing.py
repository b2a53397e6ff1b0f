"""A finished quantization as byte sections; `reading` is the way back, SPEC.md the definition.

`model`: step, context codes, relative steps, frequencies, centres, bytes of each block. `codes`: entropy-coded
symbols, one rANS stream a block of rows. `beyond`, only where needed: weights past the last level.
"""

from __future__ import annotations

import math

import numpy as np

from subbit.codecs.blocks import parallel, rows_per_block
from subbit.codecs.scalar.beyond import write_beyond
from subbit.codecs.scalar.parts import append_blob, level_count
from subbit.codecs.scalar.search import Quantized
from subbit.coders import integers, rans, varints, zigzag
from subbit.kernels import kernel

__all__ = ["write_sections"]


def write_sections(result: Quantized, step_codes: bytes, exponent: int = 0) -> dict[str, bytes]:
    """Write down a quantization of weights × 2^-exponent; `step_codes` are the relative steps of `steps.py`."""
    scene, frequencies, density = result.scene, result.found.frequencies, result.scene.density
    blocks = _encode_blocks(result)
    model = bytearray(_stored_step(result, exponent).astype("<f4").tobytes())
    model += varints.write([density.contexts, density.base])
    if density.contexts > 1:
        append_blob(model, integers.encode(density.rows))
        append_blob(model, integers.encode(density.columns))
    append_blob(model, step_codes)
    model += frequencies.to_bytes()
    levels = level_count(frequencies.table.shape[1], scene.signed)
    append_blob(model, integers.encode(zigzag.fold(result.tables.offsets[:, :levels].ravel().astype(np.int64))))
    if not frequencies.certain:
        append_blob(model, integers.encode(np.array([len(block) for block in blocks], np.int64)))
    out = {"model": bytes(model)}
    if not frequencies.certain:
        out["codes"] = b"".join(blocks)
    if result.found.beyond:
        out["beyond"] = write_beyond(result)
    return out


def _stored_step(result: Quantized, exponent: int) -> np.float32:
    """The step of the original weights; where float32 ends, the nearest that fits all relative steps."""
    steps = result.scene.steps
    smallest, largest = 2.0**-149, 2.0**127 / float(steps.rows.max()) / float(steps.columns.max())
    return np.float32(min(max(math.ldexp(float(result.step), exponent), smallest), largest))


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

    if not result.found.frequencies.certain:
        parallel(task, len(blocks))
    return blocks
