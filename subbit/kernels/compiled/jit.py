"""How every kernel is compiled: no GIL, cached on disk, IEEE arithmetic in the order written.

No fastmath and no contraction, so that results are the same bits on every CPU and thread count.
"""

from collections.abc import Callable
from typing import TypeVar

import numba

__all__ = ["jit"]

F = TypeVar("F", bound=Callable[..., object])


def jit(function: F) -> F:
    """Compile on first call for the types it is given."""
    compiled: F = numba.njit(nogil=True, cache=True, error_model="numpy", fastmath=False)(function)
    return compiled
