"""How every kernel is compiled: no GIL, cached on disk, IEEE arithmetic in the order written.

No fastmath and no contraction, so that results are the same bits on every CPU and thread count.
"""

from collections.abc import Callable
from typing import TypeVar

import numba
import numpy as np

__all__ = ["aligned", "jit", "keep"]

F = TypeVar("F", bound=Callable[..., object])


def jit(function: F) -> F:
    """Compile on first call for the types it is given."""
    compiled: F = numba.njit(nogil=True, cache=True, error_model="numpy", fastmath=False)(function)
    return compiled


@jit
def aligned(count):  # type: ignore[no-untyped-def]
    """float32[count] that starts at a line of the cache, and what owns it: keep both."""
    memory = np.empty(count + 16, np.float32)
    first = ((64 - (memory.ctypes.data & 63)) & 63) >> 2
    return memory[first : first + count], memory


@jit
def keep(array):  # type: ignore[no-untyped-def]
    """Hold an array to here: it is freed behind its last mention, even while its address is in use."""
    return array.size
