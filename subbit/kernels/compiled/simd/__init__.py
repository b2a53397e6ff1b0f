"""Sixteen numbers at a time, as LLVM vectors: what the compiler of loops does not find by itself.

Addresses are intp and need no alignment, but for stores that stream. Every vector is lowered to what the processor has
(AVX-512, AVX2, SSE2, NEON), with the same bits: one multiplication, one rounding, no contraction but where it says so.

Tests run them with all that the processor has and with nothing of it (`NUMBA_CPU_NAME=generic`); for aarch64 a test
compiles most of them, and nobody has run them there yet.
"""

from __future__ import annotations

from subbit.kernels.compiled.simd.butterflies import APART, BESIDE, TURNED, four_steps
from subbit.kernels.compiled.simd.gathering import AT_ONCE, gather_row
from subbit.kernels.compiled.simd.integers import expand
from subbit.kernels.compiled.simd.memory import copy, fence, move, read_word
from subbit.kernels.compiled.simd.products import add_outer, combine, dots, look_up, scaled
from subbit.kernels.compiled.simd.rounding import put
from subbit.kernels.compiled.simd.scoring import ABREAST, nearest_four
from subbit.kernels.compiled.simd.signs import angle_word
from subbit.kernels.compiled.simd.vectors import LANES
from subbit.kernels.compiled.simd.walks import UNIT, walk, walk_dots

__all__ = [
    "ABREAST", "APART", "AT_ONCE", "BESIDE", "LANES", "TURNED", "UNIT", "add_outer", "angle_word", "combine", "copy",
    "dots", "expand", "fence", "four_steps", "gather_row", "look_up", "move", "nearest_four", "put", "read_word",
    "scaled", "walk", "walk_dots",
]  # fmt: skip
