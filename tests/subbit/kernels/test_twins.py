"""Every kernel has a twin: both folders hold the same modules, and these the same functions."""

from __future__ import annotations

import inspect
from importlib import import_module
from pathlib import Path

import pytest

import subbit.kernels

FOLDER = Path(subbit.kernels.__file__).parent


def modules(backend: str) -> set[str]:
    return {path.stem for path in (FOLDER / backend).glob("*.py")} - {"__init__", "jit"}


def public_functions(backend: str, module: str) -> dict[str, list[str]]:
    kernels = import_module(f"subbit.kernels.{backend}.{module}")
    functions = {name: getattr(kernels, name) for name in kernels.__all__}
    plain = {name: getattr(function, "py_func", function) for name, function in functions.items()}
    return {name: list(inspect.signature(function).parameters) for name, function in plain.items()}


def test_both_folders_hold_the_same_modules() -> None:
    assert modules("compiled") == modules("plain") != set()


@pytest.mark.parametrize("module", sorted(modules("compiled") & modules("plain")))
def test_twins_have_the_same_functions_and_parameters(module: str) -> None:
    compiled, plain = public_functions("compiled", module), public_functions("plain", module)
    assert compiled == plain
    assert compiled


def test_jit_keeps_ieee_arithmetic() -> None:
    from subbit.kernels.compiled.jit import jit

    options = jit(lambda x: x).targetoptions  # type: ignore[attr-defined]
    assert options["fastmath"] is False
    assert options["nogil"] is True
