"""Loops that need to be fast: arrays in, arrays out, no knowledge of codecs or files.

Every module exists twice under the same name and with the same functions: `compiled` (Numba) and
`plain` (NumPy, the readable definition). They agree to the bit; a test enumerates both folders.
Kernels trust their arguments: callers validate shapes, code ranges and offsets first. They release
the GIL and use one thread; callers run them on row blocks from a thread pool.
"""

from __future__ import annotations

import importlib
import os
from functools import cache
from importlib.util import find_spec
from types import ModuleType

from subbit.errors import UsageError

__all__ = ["backend", "kernel"]


def backend() -> str:
    """`"compiled"` where numba can be imported, else `"plain"`; SUBBIT_KERNELS overrides it."""
    chosen = os.environ.get("SUBBIT_KERNELS", "")
    if chosen in ("compiled", "plain"):
        return chosen
    if chosen:
        raise UsageError(f"SUBBIT_KERNELS={chosen!r} is neither 'compiled' nor 'plain'", kind="usage")
    return "compiled" if _has_numba() else "plain"


def kernel(name: str) -> ModuleType:
    """The module of kernels `name` of the active backend."""
    return _module(backend(), name)


@cache
def _module(kind: str, name: str) -> ModuleType:
    return importlib.import_module(f"subbit.kernels.{kind}.{name}")


@cache
def _has_numba() -> bool:
    return find_spec("numba") is not None
