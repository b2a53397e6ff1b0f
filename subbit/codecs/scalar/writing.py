"""A finished quantization as bytes; `reading` is the way back, SPEC.md the definition.

One section: the `model`, then the symbols of each block of rows, entropy-coded.
"""

from __future__ import annotations

import math

import numpy as np

from subbit.codecs.blocks import parallel, rows_per_block
from subbit.codecs.scalar.beyond import Beyond
from subbit.codecs.scalar.model import Model
from subbit.codecs.scalar.parts import SECTION
from subbit.codecs.scalar.search import Quantized
from subbit.codecs.scalar.steps import StepCodes
from subbit.coders import runs

__all__ = ["write_sections"]


def write_sections(result: Quantized, codes: StepCodes, exponent: int = 0) -> dict[str, bytes]:
    """Write down a quantization of weights × 2^-exponent."""
    blocks = _encode_blocks(result)
    sizes = np.array([len(block) // 2 for block in blocks], np.int64)
    step, levels, beyond = _stored_step(result, exponent), result.found.levels, Beyond.of(result)
    model = Model(step, result.scene.density, codes, levels, result.tables.offsets, beyond, sizes)
    return {SECTION: b"".join([model.to_bytes(), *blocks])}


def _stored_step(result: Quantized, exponent: int) -> np.float32:
    """The step of the original weights; where float32 ends, the nearest that fits all relative steps."""
    steps = result.scene.steps
    smallest, largest = 2.0**-149, 2.0**127 / float(steps.rows.max()) / float(steps.columns.max())
    return np.float32(min(max(math.ldexp(float(result.step), exponent), smallest), largest))


def _encode_blocks(result: Quantized) -> list[bytes]:
    rows, cols = result.symbols.shape
    size = rows_per_block(cols)
    blocks = [b""] * -(-rows // size)
    tables, field = runs.Runs.of(result.found.levels, result.scene.signed), result.scene.density.field()

    def task(index: int) -> None:
        part = slice(index * size, min((index + 1) * size, rows))
        blocks[index] = runs.encode(result.symbols[part], tables, field.take(part))

    if not tables.certain:
        parallel(task, len(blocks))
    return blocks
