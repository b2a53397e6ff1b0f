"""Explicit vectors compile for aarch64, too: compiled there by LLVM, not run."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import llvmlite.binding as llvm
import numba
import pytest
from numba import float32, int64, uint16, uint64

from subbit.kernels.compiled import simd

TRIPLE = "aarch64-unknown-linux-gnu"
KINDS = [(0, "fmul"), (1, "fcvtn"), (2, "uzp2")]


def in_aarch64(function: Callable[..., None], *kinds: Any) -> str:
    """The assembly of a function of addresses and numbers; LLVM ends the process where it cannot."""
    compiled = numba.njit([numba.void(*kinds)], error_model="numpy")(function)
    llvm.initialize_all_targets()
    llvm.initialize_all_asmprinters()
    machine = llvm.Target.from_triple(TRIPLE).create_target_machine(cpu="generic", opt=2)
    (text,) = compiled.inspect_llvm().values()
    module = llvm.parse_assembly(text)
    module.triple, module.data_layout = TRIPLE, str(machine.target_data)
    assembly: str = machine.emit_assembly(module)
    assert "zmm" not in assembly
    return assembly


@pytest.mark.parametrize(("kind", "used"), KINDS)
def test_vectors_looked_up(kind: int, used: str) -> None:
    def whole(at: int, scale: float, turn: int) -> None:
        simd.gather_row(at, at, 16, at, scale, at, at, turn, at, 4, 1, kind, True, True, True, True)

    def split(at: int, scale: float, turn: int) -> None:
        simd.gather_row(at, at, 17, at, scale, at, at, turn, at, 4, 2, kind, False, False, True, False)

    for function in (whole, split):
        assert used in in_aarch64(function, int64, float32, uint16)


@pytest.mark.parametrize(("kind", "used"), KINDS)
def test_walks_and_signs(kind: int, used: str) -> None:
    def walk(at: int, window: int) -> None:
        simd.walk(at, at, at, at, window, 4, at, at, 2, 1, kind, True)

    def put(at: int, scale: float, signs: int) -> None:
        simd.put(at, scale, signs, at, kind, False)
        simd.expand(at, scale, 4, at, 4, kind, True)

    assert used in in_aarch64(walk, int64, uint64)
    assert used in in_aarch64(put, int64, float32, uint16)


def test_angles() -> None:
    def angles(at: int, turn: int) -> None:
        simd.fence()
        simd.copy(at, at + int(simd.angle_word(at, turn)), 8)

    assert "add\tv" in in_aarch64(angles, int64, uint16)


def test_products() -> None:
    def products(at: int, window: int) -> None:
        simd.dots(at, at, at, at, at, 4, at, at, at, 2, 4)
        simd.look_up(at, at, at, at, at, 8, 4)
        simd.walk_dots(at, at, at, at, window, 4, at, at, at, 2, 1, 4, 1)
        simd.combine(at, at, 64, at, at, 4)
        simd.add_outer(at, at, at, at, 4)

    assert "fmla" in in_aarch64(products, int64, uint64)
