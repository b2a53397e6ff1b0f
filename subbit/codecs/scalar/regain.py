"""Gains on the rows and columns of a scalar code: its relative steps move, its symbols stay as they are."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import replace

import numpy as np

from subbit.bits.roots import FINEST, POWERS
from subbit.codecs.scalar.model import Model
from subbit.codecs.scalar.parts import SECTION
from subbit.codecs.scalar.steps import RANGE, StepCodes, Steps
from subbit.codecs.sections import section_bytes
from subbit.records import Buffer

__all__ = ["regain_scalar"]


def regain_scalar(
    sections: Mapping[str, Buffer], rows: np.ndarray, columns: np.ndarray, signed: bool = True
) -> dict[str, Buffer]:
    """The section of W_ij · rows_i · columns_j: only its model changes, by the entropy of the finer steps.

    Gains are positive and finite, float64, and rounded to the grid of 2^(1/32): an error of at most 1.1 % each.
    Relative steps that would span more than the layout's octaves are cut. Raises :class:`SubbitError` (kind "section")
    for a damaged model.
    """
    stored = section_bytes(sections, SECTION)
    model, end = Model.read(stored, rows.size, columns.size, signed)
    old = model.codes
    row_codes, lowest_row = _moved(old.rows, old.resolution, rows)
    column_codes, lowest_column = _moved(old.columns, old.resolution, columns)
    codes = StepCodes(row_codes, column_codes, FINEST)
    step = _in_float32(float(model.step) * _octaves(lowest_row + lowest_column), codes.steps())
    regained = replace(model, step=step, codes=codes).to_bytes()
    return {**sections, SECTION: regained + stored[end:].tobytes()}


def _moved(codes: np.ndarray, resolution: int, gains: np.ndarray) -> tuple[np.ndarray, int]:
    """Codes ≥ 0 on the finest grid times gains, and the 32nds of an octave that were taken off all of them."""
    moved = (codes.astype(np.int64) << (FINEST - resolution)) + _nearest_codes(gains)
    moved = np.maximum(moved, moved.max() - (RANGE << FINEST))
    lowest = int(moved.min())
    return moved - lowest, lowest


def _nearest_codes(gains: np.ndarray) -> np.ndarray:
    """32 · log2 of positive numbers, rounded: by comparisons, so the same on every machine."""
    mantissas, exponents = np.frexp(gains)
    edges = 0.5 * POWERS * np.sqrt(POWERS[1])
    found: np.ndarray = np.searchsorted(edges, mantissas) + ((exponents.astype(np.int64) - 1) << FINEST)
    return found


def _octaves(code: int) -> float:
    """2^(code / 32)."""
    return math.ldexp(float(POWERS[code % POWERS.size]), code >> FINEST)


def _in_float32(step: float, steps: Steps) -> np.float32:
    """The step, or where float32 ends the nearest that fits all relative steps."""
    largest = 2.0**127 / float(steps.rows.max()) / float(steps.columns.max())
    return np.float32(min(max(step, 2.0**-149), largest))
